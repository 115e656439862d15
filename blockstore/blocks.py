"""Blocks: a store backed by an exchange. Have it, or fetch it, verify it and keep it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from typing import Protocol

from blockstore import hashing
from blockstore.block import Block
from blockstore.block_waiters import BlockWaiters
from blockstore.cid import CID
from blockstore.errors import BlockNotFound
from blockstore.fetch_progress import FetchesInFlight, FetchProgress
from blockstore.grouped_puts import GroupedPuts
from blockstore.read_budget import ReadBudget
from blockstore.store import Blockstore


class Exchange(Protocol):
    """Blocks from elsewhere. What it returns is verified; the caller stores it."""

    async def fetch(
        self, cid: CID, hints: Sequence[str] = (), progress: FetchProgress | None = None
    ) -> Block:
        """Get one block, asking `hints` (peer ids) first; waits until it comes or the caller cancels.

        `progress` follows the fetch from its first step on; it is read while the fetch runs, never after.
        Raises BlockNotFound when no source that could be asked has it; its reports say what each kind of
        source has answered. Cancelling withdraws the want within the same loop turn.
        """
        ...

    def session(self, root: CID) -> Exchange:
        """An exchange for one DAG: remembers which peers were useful for it."""
        ...


class OfflineExchange:
    """The exchange of a node that asks no peer, with the reason."""

    def __init__(self, reason: str = "this node is offline and does not hold it") -> None:
        self._reason = reason

    async def fetch(
        self, cid: CID, hints: Sequence[str] = (), progress: FetchProgress | None = None
    ) -> Block:
        raise BlockNotFound(cid, self._reason)

    def session(self, root: CID) -> OfflineExchange:
        return self


class GroupSource(Protocol):
    """Blocks from elsewhere, a list at a time. What it does not give is asked of the exchange."""

    def fetch_groups(self, cids: Sequence[CID], hints: Sequence[str]) -> AsyncGenerator[Sequence[Block]]:
        """Those of the blocks that a source gives, verified, in groups as they come; the caller stores them.

        It asks `hints` (peer ids), and no others. Closing it withdraws what is under way at once. Raises
        nothing where a source fails.
        """
        ...

    def session(self, root: CID) -> GroupSource:
        """The same for one DAG: remembers which peers were useful for it."""
        ...


class NoGroups:
    """A GroupSource without any source."""

    async def fetch_groups(
        self, cids: Sequence[CID], hints: Sequence[str]
    ) -> AsyncGenerator[Sequence[Block]]:
        none: Sequence[Sequence[Block]] = ()
        for group in none:
            yield group

    def session(self, root: CID) -> NoGroups:
        return self


class BlockSource(Protocol):
    """What readers of DAGs ask for: blocks by CID, wherever they come from."""

    @property
    def read_budget(self) -> ReadBudget:
        """The memory that all who read ahead from here share."""
        ...

    async def get(self, cid: CID) -> Block: ...

    async def get_many(self, cids: Sequence[CID]) -> list[Block]:
        """All of them, in order. Raises BlockNotFound for the first that cannot be had."""
        ...


class Blocks:
    """A BlockSource over a store and an exchange. A fetched block is stored before it is returned.

    A fetch ends as well when its block is stored by something else: another fetch, or an import.
    """

    def __init__(
        self,
        store: Blockstore,
        exchange: Exchange,
        hints: Sequence[str] = (),
        waiters: BlockWaiters | None = None,
        in_flight: FetchesInFlight | None = None,
        read_budget: ReadBudget | None = None,
        groups: GroupSource | None = None,
        puts: GroupedPuts | None = None,
    ) -> None:
        """`waiters` hear what is stored; `in_flight`: where it is to be seen what is being fetched.

        `read_budget`, `puts`: where they are shared with other Blocks. `groups`: asked before the exchange.
        """
        self._groups = groups or NoGroups()
        self.read_budget = read_budget or ReadBudget()
        self.store = store
        self.exchange = exchange
        self._hints = tuple(hints)
        self._waiters = waiters or BlockWaiters()
        self._in_flight = in_flight or FetchesInFlight()
        self._puts = puts or GroupedPuts(self.put_many)

    def session(
        self, root: CID, hints: Sequence[str] = (), in_flight: FetchesInFlight | None = None
    ) -> Blocks:
        """The same store, with an exchange session for that DAG."""
        exchange = self.exchange.session(root)
        groups = self._groups.session(root)
        shared = self._waiters, in_flight, self.read_budget, groups, self._puts
        return Blocks(self.store, exchange, hints, *shared)

    async def get(self, cid: CID) -> Block:
        """Raises BlockNotFound, UnknownHash."""
        (block,) = await self.store.get_many([cid])
        return block if block is not None else await self._fetch(cid)

    async def fetch(self, cid: CID) -> Block:
        """One that was missing a moment ago: it is looked for here once it cannot be had elsewhere.

        Raises BlockNotFound, UnknownHash.
        """
        try:
            return await self._fetch(cid)
        except BlockNotFound:
            (block,) = await self.store.get_many([cid])
            if block is None:
                raise
            return block

    async def get_many(self, cids: Sequence[CID]) -> list[Block]:
        """In order; missing ones are fetched as by `fetch_many`. Raises BlockNotFound."""
        found = await self.store.get_many(cids)
        missing = [cid for cid, block in zip(cids, found, strict=True) if block is None]
        fetched = await self.fetch_many(missing) if missing else {}
        return [block or fetched[cid] for cid, block in zip(cids, found, strict=True)]

    async def put_many(self, blocks: Sequence[Block]) -> None:
        """Store, then give them to the fetches that wait for them. Raises StorageFull."""
        await self.store.put_many(blocks)
        await self._waiters.on_stored(blocks)

    async def fetch_many(self, cids: Sequence[CID]) -> dict[CID, Block]:
        """Blocks that are not in the store, fetched at the same time. Raises BlockNotFound.

        When one cannot be had, the other fetches are withdrawn; blocks that came before stay in the store.
        """
        found: dict[CID, Block] = {}
        async with aclosing(self.fetch_groups(cids)) as groups:
            async for group in groups:
                found.update((block.cid, block) for block in group)
        return found | await self._fetch_each([cid for cid in dict.fromkeys(cids) if cid not in found])

    async def fetch_groups(self, cids: Sequence[CID]) -> AsyncGenerator[Sequence[Block]]:
        """Those of these missing blocks that are given many at a time, each group stored before it is given.

        What is left out is to be had by `get`, if at all. Raises StorageFull.
        """
        async with aclosing(self._groups.fetch_groups(cids, self._hints)) as groups:
            async for group in groups:
                await self.put_many(group)
                yield group

    async def _fetch_each(self, missing: Sequence[CID]) -> dict[CID, Block]:
        wanted = [asyncio.create_task(self._fetch(cid)) for cid in missing]
        try:
            return dict(zip(missing, await asyncio.gather(*wanted), strict=True))
        finally:
            for want in wanted:
                want.cancel()
            await asyncio.gather(*wanted, return_exceptions=True)

    async def _fetch(self, cid: CID) -> Block:
        hashing.check_known(cid.multihash)  # what could not be verified is not asked for
        with self._waiters.expected(cid) as arrival, self._in_flight.begun(cid) as progress:
            block = await self._first(self.exchange.fetch(cid, self._hints, progress), arrival)
            if block.cid != cid:  # another form of the name, or an exchange that is wrong
                block = Block.verify(cid, block.data, "exchange")
            if not arrival.done() or await self.store.missing([cid]):
                await self._puts.put(block)
            return block

    async def _first(self, fetch: Awaitable[Block], arrival: asyncio.Future[Block]) -> Block:
        """What comes first; the fetch is cancelled when that is the arrival. No task of its own: many run."""
        loop, ended = asyncio.get_running_loop(), False

        def arrived(_: asyncio.Future[Block]) -> None:
            if not ended:
                deadline.reschedule(loop.time())

        try:
            async with asyncio.timeout(None) as deadline:
                arrival.add_done_callback(arrived)
                try:
                    return await fetch
                finally:
                    ended = True
        except TimeoutError:
            if not arrival.done():
                raise
            return arrival.result()
