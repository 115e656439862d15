"""An add is told to the members while it goes on, where each of them is to hold it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from blockstore.block import Block
from blockstore.cid import CID
from blockstore.unixfs.importing.importer import BlockSink
from cluster.pin import EVERYWHERE, Wish

_SMALL = 16 * 1024  # bytes: of smaller blocks the pin brings thousands at once, for less

Offer = Callable[[Sequence[CID]], None]
"""Tell all members that these are here. Returns at once, and promises nothing."""


def no_offer(cids: Sequence[CID]) -> None:
    """There is no member to tell."""


@dataclass(frozen=True, slots=True)
class EarlyOffers:
    """`replication`: the copies of a pin that does not say how many it wants."""

    offer: Offer = no_offer
    replication: int = EVERYWHERE

    def around(self, sink: BlockSink, wish: Wish | None) -> BlockSink:
        """The sink of an add with that wish; what is put into it may be offered too."""
        if wish is None or (wish.options.replication_max or self.replication) != EVERYWHERE:
            return sink
        return OfferingSink(sink, self.offer)


NO_OFFERS = EarlyOffers()


@dataclass(frozen=True, slots=True)
class OfferingSink:
    """Offers what was stored, where it is large."""

    sink: BlockSink
    offer: Offer

    async def put_many(self, blocks: Sequence[Block]) -> None:
        await self.sink.put_many(blocks)
        if sum(len(block.data) for block in blocks) >= _SMALL * len(blocks):
            self.offer([block.cid for block in blocks])
