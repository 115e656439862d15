"""Several ways to a block, asked one after the other with a head start, then all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from blockstore.block import Block
from blockstore.cid import CID
from blockstore.errors import BlockNotFound, BlockstoreError
from blockstore.service import Exchange


@dataclass(frozen=True, slots=True)
class Way:
    """One exchange, named for error texts; the next way is asked too after `head_start` seconds."""

    name: str
    exchange: Exchange
    head_start: float = 0.3


class StaggeredExchange:
    """Satisfies Exchange: the first way that has the block wins, the others' wants are withdrawn.

    A way that fails early passes its turn on at once. Per DAG (`session`) the way that answered last goes
    first, so that a whole DAG from one good source costs one want a block.
    """

    def __init__(self, ways: Sequence[Way]) -> None:
        self._ways = list(ways)

    def session(self, root: CID) -> StaggeredExchange:
        return StaggeredExchange(
            [Way(way.name, way.exchange.session(root), way.head_start) for way in self._ways]
        )

    async def announce(self, cids: Sequence[CID]) -> None:
        for way in self._ways:
            await way.exchange.announce(cids)

    async def fetch(self, cid: CID, hints: Sequence[str] = ()) -> Block:
        """Raises BlockNotFound with what every way said."""
        if len(self._ways) == 1:
            return await self._ways[0].exchange.fetch(cid, hints)
        wants: dict[asyncio.Task[Block], Way] = {}
        failures: list[str] = []
        try:
            for way in tuple(self._ways):
                want = asyncio.ensure_future(way.exchange.fetch(cid, hints))
                wants[want] = way
                if block := await self._first(wants, failures, way.head_start):
                    return block
            while wants:
                if block := await self._first(wants, failures, None):
                    return block
        finally:
            for want in wants:
                want.cancel()
            await asyncio.gather(*wants, return_exceptions=True)
        raise BlockNotFound(cid, "; ".join(failures) or "there is nobody to ask")

    async def _first(
        self, wants: dict[asyncio.Task[Block], Way], failures: list[str], timeout: float | None
    ) -> Block | None:
        """A block within the time, or None when the time is over or one more way has failed."""
        done, _ = await asyncio.wait(wants, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        found: Block | None = None
        for want in done:
            way = wants.pop(want)
            error = want.exception()
            if error is None:
                found = want.result()
                self._prefer(way)
            elif isinstance(error, BlockstoreError):
                failures.append(f"{way.name}: {getattr(error, 'reason', error)}")
            else:
                raise error
        return found

    def _prefer(self, way: Way) -> None:
        if self._ways[0] is not way:
            self._ways.remove(way)
            self._ways.insert(0, way)
