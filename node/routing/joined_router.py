"""Several routers as one: all are asked at once, and what the first one says comes first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from blockstore.cid import CID
from blockstore.common.guard import Guard
from blockstore.common.tasks import let_go
from node.routing.router import MAX_PROVIDERS, NotProvided, Provider, Router

_AHEAD = 32  # providers that wait for the caller


class JoinedRouter:
    """Satisfies Router. A peer that several routers name is given once, as the first of them named it."""

    def __init__(self, routers: Sequence[Router], guard: Guard) -> None:
        """Under `guard` a fault of one router keeps none of the others from answering."""
        self._routers = tuple(routers)
        self._guard = guard

    async def providers(self, cid: CID) -> AsyncGenerator[Provider]:
        """See `Router.providers`."""
        found: asyncio.Queue[Provider | None] = asyncio.Queue(_AHEAD)
        asking = asyncio.ensure_future(self._ask_all(cid, found))
        given: set[str] = set()
        try:
            while len(given) < MAX_PROVIDERS and (provider := await found.get()) is not None:
                if provider.peer not in given:
                    given.add(provider.peer)
                    yield provider
        finally:
            await let_go(asking)

    async def peer(self, peer: str) -> Provider | None:
        """The first answer with addresses; None when there is none."""
        asked = [asyncio.ensure_future(self._peer_of(router, peer)) for router in self._routers]
        try:
            for answer in asyncio.as_completed(asked):
                found = await answer
                if found is not None and found.addresses:
                    return found
            return None
        finally:
            for one in asked:
                await let_go(one)

    async def provide(self, cid: CID) -> None:
        """To all of them. Raises NotProvided, with what each has said, where one could not."""
        failures = [failure for router in self._routers if (failure := await _refusal(router, cid))]
        if failures:
            raise NotProvided("; ".join(failures))

    async def _ask_all(self, cid: CID, found: asyncio.Queue[Provider | None]) -> None:
        async with asyncio.TaskGroup() as group:
            for router in self._routers:
                group.create_task(self._ask(router, cid, found))
        await found.put(None)

    async def _ask(self, router: Router, cid: CID, found: asyncio.Queue[Provider | None]) -> None:
        with self._guard.around("looking for providers", str(cid)):
            async with aclosing(router.providers(cid)) as providers:
                async for provider in providers:
                    await found.put(provider)

    async def _peer_of(self, router: Router, peer: str) -> Provider | None:
        answers: list[Provider | None] = []
        with self._guard.around("looking for a peer", peer):
            answers.append(await router.peer(peer))
        return answers[0] if answers else None


async def _refusal(router: Router, cid: CID) -> str:
    """What keeps that router from telling it; empty when it was told."""
    try:
        await router.provide(cid)
    except NotProvided as error:
        return str(error)
    return ""
