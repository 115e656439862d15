"""Several routers as one: the healthiest is asked first, the next one when it is silent or has nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from aiohttp import ClientSession, DummyCookieJar, TCPConnector

from blockstore.cid import CID
from blockstore.common.guard import Guard
from blockstore.common.tasks import let_go
from node.names.errors import NotPublished
from node.names.ipns_record import IpnsRecord
from node.names.name import IpnsName
from node.routing.delegated.delegated_router import DelegatedRouter
from node.routing.router import MAX_PROVIDERS, Provider
from node.version import VERSION

_HEDGE = 1.0  # seconds of silence after which the next router is asked too
_AHEAD = 32  # providers that wait for the caller


class HedgedRouters:
    """Satisfies Router and RecordRoute; at least one router. None of them need answer."""

    def __init__(self, routers: Sequence[DelegatedRouter], guard: Guard, hedge: float = _HEDGE) -> None:
        self._routers = tuple(routers)
        self._guard = guard
        self._hedge = hedge

    async def providers(self, cid: CID) -> AsyncGenerator[Provider]:
        """See `Router.providers`."""
        found: asyncio.Queue[Provider | None] = asyncio.Queue(_AHEAD)
        asking = asyncio.ensure_future(self._ask_in_turn(cid, found))
        given: set[str] = set()
        try:
            while len(given) < MAX_PROVIDERS and (provider := await found.get()) is not None:
                if provider.peer not in given:
                    given.add(provider.peer)
                    yield provider
        finally:
            await let_go(asking)

    async def peer(self, peer: str) -> Provider | None:
        """See `Router.peer`: the first answer with addresses."""
        asked: set[asyncio.Task[Provider | None]] = set()
        try:
            for router in self._best_first():
                asked.add(asyncio.ensure_future(self._peer_of(router, peer)))
                if (found := await _first(asked, self._hedge)) is not None:
                    return found
            while asked:
                if (found := await _first(asked, None)) is not None:
                    return found
            return None
        finally:
            for task in asked:
                await let_go(task)

    async def provide(self, cid: CID) -> None:
        """Nothing: see `DelegatedRouter.provide`."""

    async def find(self, name: IpnsName) -> list[IpnsRecord]:
        """See `NameRouting.find`: of all of them, for the newest counts."""
        answers = await asyncio.gather(*(router.find(name) for router in self._routers))
        return [record for records in answers for record in records]

    async def publish(self, name: IpnsName, record: IpnsRecord) -> None:
        """See `RecordOutlet.publish`. Raises NotPublished where none took it."""
        refusals = await asyncio.gather(*(_refusal(router, name, record) for router in self._routers))
        if all(refusals):
            raise NotPublished("; ".join(refusals))

    def _best_first(self) -> list[DelegatedRouter]:
        now = asyncio.get_running_loop().time()
        return sorted(self._routers, key=lambda router: router.health.order(now))

    async def _ask_in_turn(self, cid: CID, found: asyncio.Queue[Provider | None]) -> None:
        """Each is asked when those before it have all ended, or were silent for a while."""
        news = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            running: set[asyncio.Task[None]] = set()
            for router in self._best_first():
                running.add(group.create_task(self._ask(router, cid, found, news)))
                if not news.is_set():
                    await _any_of(news, running, self._hedge)
                if news.is_set():
                    break
        await found.put(None)

    async def _ask(
        self, router: DelegatedRouter, cid: CID, found: asyncio.Queue[Provider | None], news: asyncio.Event
    ) -> None:
        with self._guard.around("asking for providers", repr(router)):
            async with aclosing(router.providers(cid)) as providers:
                async for provider in providers:
                    news.set()
                    await found.put(provider)

    async def _peer_of(self, router: DelegatedRouter, peer: str) -> Provider | None:
        found: Provider | None = None
        with self._guard.around("asking for a peer", repr(router)):
            found = await router.peer(peer)
        return found if found is not None and found.addresses else None


async def _any_of(news: asyncio.Event, running: set[asyncio.Task[None]], seconds: float) -> None:
    """Returns at the first provider, when all have ended, or after that time."""
    heard = asyncio.ensure_future(news.wait())
    ended = asyncio.ensure_future(asyncio.wait(running))
    try:
        await asyncio.wait((heard, ended), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await let_go(heard)
        await let_go(ended)


async def _first(asked: set[asyncio.Task[Provider | None]], seconds: float | None) -> Provider | None:
    """An answer of one of them within that time; those without one are taken out."""
    done, _ = await asyncio.wait(asked, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    asked -= done
    return next((found for task in done if (found := task.result()) is not None), None)


async def _refusal(router: DelegatedRouter, name: IpnsName, record: IpnsRecord) -> str:
    """What keeps that router from taking it; empty when it has it."""
    try:
        await router.publish(name, record)
    except NotPublished as error:
        return str(error)
    return ""


@asynccontextmanager
async def open_routers(
    urls: Sequence[str], guard: Guard, hedge: float = _HEDGE
) -> AsyncIterator[HedgedRouters]:
    """Ask these routers for the length of the block."""
    async with ClientSession(
        connector=TCPConnector(limit_per_host=32),
        cookie_jar=DummyCookieJar(),
        headers={"User-Agent": f"pinfold/{VERSION}"},
    ) as session:
        yield HedgedRouters([DelegatedRouter(url, session) for url in urls], guard, hedge)
