"""Where an import puts its blocks while room for all of them is reserved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blockstore.block import Block
from blockstore.blocks import Blocks
from blockstore.errors import StorageFull
from blockstore.unixfs.importing.importer import BlockSink
from blockstore.upkeep import Reservation


async def reserved_sink(here: Blocks, sink: BlockSink, reservation: Reservation, expected: int) -> BlockSink:
    """For an import of that many bytes (0: not known). `here` is the store that the sink puts into."""
    if not expected:
        return sink
    try:
        await reservation.need(expected)
    except StorageFull as error:
        return KnownSink(here, sink, error)
    return ReservedSink(sink, reservation)


@dataclass(frozen=True, slots=True)
class ReservedSink:
    """What is put takes from the reservation."""

    sink: BlockSink
    reservation: Reservation

    async def put_many(self, blocks: Sequence[Block]) -> None:
        await self.sink.put_many(blocks)
        self.reservation.took(sum(len(block.data) for block in blocks))


@dataclass(frozen=True, slots=True)
class KnownSink:
    """For what would not fit: it takes blocks that are here already, and refuses the first other one."""

    here: Blocks
    sink: BlockSink
    refusal: StorageFull

    async def put_many(self, blocks: Sequence[Block]) -> None:
        if await self.here.store.missing([block.cid for block in blocks]):
            raise self.refusal
        await self.sink.put_many(blocks)
