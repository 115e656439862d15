"""What an import stores is counted, and waits while its job is paused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from blockstore.block import Block
from blockstore.unixfs.importing.importer import BlockSink

Turn = Callable[[int], Awaitable[None]]
"""Told how many bytes came or are to be stored; the work goes on when it returns."""


async def at_once(_: int) -> None:
    """The Turn of work that waits for nothing."""


@dataclass(frozen=True, slots=True)
class PacedSink:
    """Asks for each group of blocks; what is not stored is not read either."""

    sink: BlockSink
    turn: Turn

    async def put_many(self, blocks: Sequence[Block]) -> None:
        await self.turn(sum(len(block.data) for block in blocks))
        await self.sink.put_many(blocks)
