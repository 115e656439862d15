"""Which member tells the DHT of a pin that several hold: one of those that do, chosen by hashing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from blockstore.cid import CID
from cluster.common.election import elected
from cluster.interfaces import PinsetReader
from cluster.pin import Pin


class Sharing:
    """`holders` are the other members that are to hold a pin, `providing` those that live and provide."""

    def __init__(
        self,
        us: str,
        pinset: PinsetReader,
        holders: Callable[[Pin], frozenset[str]],
        providing: Callable[[], frozenset[str]],
    ) -> None:
        self._us = us
        self._pinset = pinset
        self._holders = holders
        self._providing = providing

    async def ours(self, cids: Sequence[CID]) -> list[CID]:
        """Those that this member tells; what is in no pinset, it alone knows of."""
        pins, others = await self._pinset.get_many(cids), self._providing()
        return [cid for cid, pin in zip(cids, pins, strict=True) if pin is None or self._is_ours(pin, others)]

    def _is_ours(self, pin: Pin, others: frozenset[str]) -> bool:
        return elected(pin.cid, {self._us, *(self._holders(pin) & others)}) == self._us
