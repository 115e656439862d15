"""Several routers as one: a slow, a silent and a faulty one keep nothing back that the others know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from support.clock import virtual_time
from support.memory_cluster import cid

from blockstore.cid import CID
from blockstore.common.guard import Guard
from node.routing.joined_router import JoinedRouter
from node.routing.router import MAX_PROVIDERS, NotProvided, Provider


class Endless:
    """A router that takes a second a provider, and never comes to an end."""

    def __init__(self) -> None:
        self.closed = False

    async def providers(self, cid: CID) -> AsyncGenerator[Provider]:
        try:
            for number in range(10**9):
                await asyncio.sleep(1)
                yield Provider(f"peer {number}")
        finally:
            self.closed = True

    async def peer(self, peer: str) -> Provider | None:
        await asyncio.sleep(10**9)
        return None

    async def provide(self, cid: CID) -> None:
        raise NotProvided("nobody listens")


class Faulty(Endless):
    """A router with a bug."""

    async def providers(self, cid: CID) -> AsyncGenerator[Provider]:
        yield Provider("before")
        raise ZeroDivisionError

    async def peer(self, peer: str) -> Provider | None:
        raise ZeroDivisionError

    async def provide(self, cid: CID) -> None:
        return


class Knowing(Faulty):
    """A router that knows where everybody is."""

    async def peer(self, peer: str) -> Provider | None:
        return Provider(peer, ("/ip4/127.0.0.1/tcp/1",))


@virtual_time
async def test_an_endless_list_ends_and_is_closed() -> None:
    endless = Endless()
    async with aclosing(JoinedRouter([endless], Guard()).providers(cid(1))) as providers:
        assert len([one async for one in providers]) == MAX_PROVIDERS
    assert endless.closed


@virtual_time
async def test_a_fault_of_one_is_counted_and_the_others_answer() -> None:
    guard = Guard()
    router = JoinedRouter([Faulty(), Endless()], guard)
    async with aclosing(router.providers(cid(1))) as providers:
        found = [(await anext(providers)).peer for _ in range(3)]
    assert found == ["before", "peer 0", "peer 1"]
    assert guard.failures == 1
    assert await JoinedRouter([Faulty(), Knowing()], guard).peer("x") == await Knowing().peer("x")


@virtual_time
async def test_a_silent_one_does_not_hold_up_where_a_peer_is() -> None:
    assert await JoinedRouter([Endless(), Knowing()], Guard()).peer("x") is not None
    assert asyncio.get_running_loop().time() == 0


@virtual_time
async def test_what_one_could_not_tell_is_said() -> None:
    with pytest.raises(NotProvided, match="nobody listens"):
        await JoinedRouter([Faulty(), Endless()], Guard()).provide(cid(1))
