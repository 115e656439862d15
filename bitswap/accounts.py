"""What went to each peer and came from it: kept when it goes, for as long as there is room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cachetools import LRUCache

from bitswap.message import Payload
from bitswap.received import ReceivedBlock
from bitswap.statistics import BlockCounts, Counters

_REMEMBERED = 4096  # peers


class PeerAccounts:
    """By peer; of more than 4096 those that were not heard of for longest are forgotten.

    `total` counts the blocks of all peers.
    """

    def __init__(self, total: Counters) -> None:
        self._total = total
        self._accounts: LRUCache[str, BlockCounts] = LRUCache(_REMEMBERED)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._accounts))

    def of(self, peer: str) -> BlockCounts:
        """As it stands; nothing is noted of a peer that is new."""
        return self._accounts.get(peer) or BlockCounts()

    def received(
        self,
        peer: str,
        payloads: Sequence[Payload],
        wanted: Sequence[ReceivedBlock],
        duplicates: Sequence[ReceivedBlock],
    ) -> None:
        """Of one message. Blocks neither wanted nor duplicate were unsolicited: only the total has them."""
        total, good, late = (
            sum(len(one.data) for one in blocks) for blocks in (payloads, wanted, duplicates)
        )
        counted = len(wanted), good, len(duplicates)
        self._total.received(*counted)
        self._total.duplicate_bytes += late
        self._total.unsolicited_blocks += len(payloads) - len(wanted) - len(duplicates)
        self._total.unsolicited_bytes += total - good - late
        if wanted or duplicates:
            self._noted(peer).received(*counted)

    def sent(self, peer: str, blocks: int, size: int) -> None:
        self._total.sent(blocks, size)
        self._noted(peer).sent(blocks, size)

    def _noted(self, peer: str) -> BlockCounts:
        if (account := self._accounts.get(peer)) is None:
            account = self._accounts[peer] = BlockCounts()
        return account
