"""Blocks from peers that routers name: each is dialled when found, then asked as a connected peer is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from blockstore.block import Block
from blockstore.blocks import Exchange
from blockstore.cid import CID
from blockstore.common.guard import Guard
from blockstore.common.tasks import open_guarded_tasks
from blockstore.errors import BlockNotFound
from blockstore.fetch_progress import FetchProgress
from blockstore.fetch_report import FetchOutcome, FetchReport
from cluster.ports import PeerOffline
from node.routing.router import Provider, Router

_LOOKUPS = 16  # at once, for all DAGs
_DIALS = 4  # at once, for one block
_MAX_PEERS = 16  # that are tried for one block
_MAX_ADDRESSES = 4  # of one peer
_KNOWN_SECONDS = 3.0  # that providers found before are waited for, until others are looked for


@dataclass(frozen=True, slots=True)
class Reach:
    """How peers are reached. `dial` takes a multiaddress with `/p2p/`, and raises PeerOffline."""

    us: str
    dial: Callable[[str], Awaitable[str]]
    connected: Callable[[], frozenset[str]]


class ProviderExchange:
    """Satisfies Exchange, over the one that asks connected peers."""

    def __init__(self, inner: Exchange, router: Router, reach: Reach, guard: Guard) -> None:
        self._parts = _Parts(inner, router, reach, guard, asyncio.Semaphore(_LOOKUPS))

    async def fetch(
        self, cid: CID, hints: Sequence[str] = (), progress: FetchProgress | None = None
    ) -> Block:
        """See `Exchange.fetch`."""
        return await self.session(cid).fetch(cid, hints, progress)

    def session(self, root: CID) -> ProviderSession:
        return ProviderSession(self._parts, self._parts.inner.session(root))


@dataclass(frozen=True, slots=True)
class _Parts:
    """What all sessions share."""

    inner: Exchange
    router: Router
    reach: Reach
    guard: Guard
    lookups: asyncio.Semaphore


class ProviderSession:
    """Satisfies Exchange: providers that were found for a block of a DAG are asked first for the next."""

    def __init__(self, parts: _Parts, inner: Exchange) -> None:
        self._parts = parts
        self._inner = inner
        self._found: dict[str, None] = {}

    async def fetch(
        self, cid: CID, hints: Sequence[str] = (), progress: FetchProgress | None = None
    ) -> Block:
        """See `Exchange.fetch`; hints are of members, which this way does not ask."""
        search = _Search()
        if progress is not None:
            progress.follow(lambda: (search.report(),))
        known = [peer for peer in self._found if peer in self._parts.reach.connected()]
        if known:
            try:
                async with asyncio.timeout(_KNOWN_SECONDS):
                    return await self._inner.fetch(cid, known)
            except (TimeoutError, BlockNotFound):
                self._found.clear()
        async with self._parts.lookups:
            return await self._from_found(cid, search)

    def session(self, root: CID) -> ProviderSession:
        return ProviderSession(self._parts, self._parts.inner.session(root))

    async def _from_found(self, cid: CID, search: _Search) -> Block:
        """Raises BlockNotFound when all that were found have failed."""
        result: asyncio.Future[Block] = asyncio.get_running_loop().create_future()
        async with open_guarded_tasks(self._parts.guard, "blocks from providers") as tasks:
            tasks.spawn(self._look(cid, search, result))
            return await result

    async def _look(self, cid: CID, search: _Search, result: asyncio.Future[Block]) -> None:
        """Whatever becomes of it, `result` has an end."""
        try:
            async with open_guarded_tasks(self._parts.guard, "a provider") as tasks:
                async with aclosing(self._parts.router.providers(cid)) as providers:
                    async for provider in providers:
                        if provider.peer != self._parts.reach.us and search.begin(provider.peer):
                            tasks.spawn(self._try(provider, cid, search, result))
                search.looked = True
                await search.until_over()
        finally:
            if not result.done():
                result.set_exception(BlockNotFound.after(cid, search.report()))

    async def _try(
        self, provider: Provider, cid: CID, search: _Search, result: asyncio.Future[Block]
    ) -> None:
        outcome = FetchOutcome.UNREACHABLE
        try:
            async with search.dials:
                await self._reach(provider)
            outcome = FetchOutcome.LACKING
            block = await self._inner.fetch(cid, (provider.peer,))
            self._found[provider.peer] = None
            if not result.done():
                result.set_result(block)
        except (PeerOffline, BlockNotFound):
            return
        finally:
            search.end(provider.peer, outcome)

    async def _reach(self, provider: Provider) -> None:
        """Raises PeerOffline."""
        reach = self._parts.reach
        if provider.peer in reach.connected():
            return
        if not provider.addresses:
            provider = await self._parts.router.peer(provider.peer) or provider
        trouble = PeerOffline(f"no address of {provider.peer} is known")
        for address in provider.addresses[:_MAX_ADDRESSES]:
            try:
                await reach.dial(f"{address}/p2p/{provider.peer}")
            except PeerOffline as error:
                trouble = error
            else:
                return
        raise trouble


class _Search:
    """What looking for one block has come to so far."""

    def __init__(self) -> None:
        self.looked = False
        self.dials = asyncio.Semaphore(_DIALS)
        self._outcomes: dict[str, FetchOutcome] = {}
        self._ended = asyncio.Event()

    def begin(self, peer: str) -> bool:
        """Whether that peer is to be tried; it is, once, while there are not too many."""
        if peer in self._outcomes or len(self._outcomes) == _MAX_PEERS:
            return False
        self._outcomes[peer] = FetchOutcome.WAITING
        return True

    def end(self, peer: str, outcome: FetchOutcome) -> None:
        self._outcomes[peer] = outcome
        self._ended.set()

    async def until_over(self) -> None:
        """Returns when every peer that is tried has ended."""
        while FetchOutcome.WAITING in self._outcomes.values():
            self._ended.clear()
            await self._ended.wait()

    def report(self) -> FetchReport:
        looking = () if self.looked else (FetchOutcome.WAITING,)
        outcomes = (*self._outcomes.values(), *looking)
        return FetchReport(source="provider", connected=len(self._outcomes), outcomes=outcomes)
