"""Routers over HTTP: several of them, any of which may be gone, slow, broken or lying."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from support.http_router import GONE, HttpRouter, http_router, lines, record
from support.ipns import Key
from support.memory_cluster import cid

from blockstore.common.guard import Guard
from node.datadir.identity import Identity
from node.names.errors import NotPublished
from node.names.ipns_record import verify
from node.routing.delegated.hedged_routers import HedgedRouters, open_routers
from node.routing.delegated.peer_records import record_of, records_of
from node.routing.router import Provider

ONE, OTHER = (Provider(Identity.generate().peer_id, (f"/ip4/192.0.2.{n}/tcp/4001",)) for n in (1, 2))
WORLD = {cid(1): (ONE, OTHER)}
KEY = Key(1)


async def found(routers: HedgedRouters) -> list[Provider]:
    async with aclosing(routers.providers(cid(1))) as providers:
        return [one async for one in providers]


async def test_lines_are_given_as_they_come() -> None:
    more = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await answer.prepare(request)
        await answer.write(json.dumps(record(ONE)).encode() + b"\n")
        await more.wait()
        await answer.write(json.dumps(record(OTHER)).encode())
        return answer

    async with http_router() as server, open_routers([server.url], Guard()) as routers:
        server.behaviour = slow
        async with aclosing(routers.providers(cid(1))) as providers:
            assert await anext(providers) == ONE
            more.set()
            assert [one async for one in providers] == [OTHER]


async def test_what_is_no_record_of_a_peer_is_left_out() -> None:
    async def odd(_request: web.Request) -> web.StreamResponse:
        return lines(
            {"Schema": "other", "ID": ONE.peer},
            {"Schema": "peer", "ID": "nonsense"},
            {"Schema": "peer"},
            [],
            None,
            7,
            {**record(ONE), "Addrs": [*ONE.addresses, 7, "no address", "/" + "x" * 600, None]},
            {
                "Schema": "bitswap",
                "Protocol": "transport-bitswap",
                "ID": OTHER.peer,
                "Addrs": OTHER.addresses,
            },
        )

    async with http_router() as server, open_routers([server.url], Guard()) as routers:
        server.behaviour = odd
        assert await found(routers) == [ONE, OTHER]


async def test_a_peer_that_is_named_with_its_id_in_its_address_is_told_without() -> None:
    address = f"{ONE.addresses[0]}/p2p/{ONE.peer}"
    assert record_of(json.dumps({**record(ONE), "Addrs": [address, address]}).encode()) == ONE


async def test_the_next_router_is_asked_where_the_first_is_gone_silent_or_has_nothing() -> None:
    async def silent(_request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async def broken(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=500)

    async with http_router() as first, http_router(WORLD) as second:
        for behaviour in (silent, broken, None):
            first.behaviour = behaviour
            async with open_routers([first.url, second.url, GONE], Guard(), 0.05) as routers:
                async with aclosing(routers.providers(cid(1))) as providers:
                    assert [await anext(providers), await anext(providers)] == [ONE, OTHER]
                assert await routers.peer(OTHER.peer) == OTHER
        first.behaviour = None
        first.world = second.world
        second.asked.clear()
        async with open_routers([first.url, second.url], Guard(), 5.0) as routers:
            assert await found(routers) == [ONE, OTHER]
        assert second.asked == []


async def test_none_need_answer() -> None:
    async with open_routers([GONE, GONE], Guard(), 0.01) as routers:
        assert await found(routers) == []
        assert await routers.peer(ONE.peer) is None
        assert await routers.peer("nonsense") is None
        assert await routers.find(KEY.name) == []
        with pytest.raises(NotPublished, match="did not take"):
            await routers.publish(KEY.name, verify(KEY.name, KEY.record("/ipfs/bafkqaaa", 2e9), 0))


async def test_one_that_fails_is_left_alone_for_a_while() -> None:
    async def broken(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    async with http_router(WORLD) as server, open_routers([server.url], Guard()) as routers:
        server.behaviour = broken
        for _ in range(5):
            assert await found(routers) == []
        assert len(server.asked) == 1


async def test_endless_and_broken_answers_end() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await answer.prepare(request)
        while True:
            await answer.write(b"x" * 60_000)

    async def many(_request: web.Request) -> web.StreamResponse:
        peers = (Identity.generate().peer_id for _ in range(1100))
        return lines(*(record(Provider(peer)) for peer in peers))

    async def cut(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "9999"})
        await answer.prepare(request)
        await answer.write(b'{"Providers":[')
        assert request.transport is not None
        request.transport.abort()
        return answer

    async def away(_request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("http://192.0.2.1/")

    async with http_router() as server:
        for behaviour, count in ((endless, 0), (many, 1000), (cut, 0), (away, 0)):
            server.behaviour = behaviour
            async with open_routers([server.url], Guard()) as routers, asyncio.timeout(20):
                assert len(await found(routers)) == count


async def records(server: HttpRouter, other: HttpRouter) -> list[int]:
    """Sequences of what both say of the name."""
    async with open_routers([server.url, f"{other.url}/routing/v1/"], Guard()) as routers:
        return sorted(one.sequence for one in await routers.find(KEY.name))


async def test_records_are_verified_and_the_others_still_count() -> None:
    end = time.time() + 100
    async with http_router() as one, http_router() as other:
        assert await records(one, other) == []
        one.records[str(KEY.name)] = KEY.record("/ipfs/bafkqaaa", end, sequence=3)
        other.records[str(KEY.name)] = KEY.record("/ipfs/bafkqaaa", end, sequence=4)
        assert await records(one, other) == [3, 4]
        for bad in (b"nonsense", bytes(100_000), Key(2).record("/ipfs/bafkqaaa", end), b""):
            one.records[str(KEY.name)] = bad
            assert await records(one, other) == [4]


async def test_a_record_is_published_where_one_takes_it() -> None:
    made = verify(KEY.name, KEY.record("/ipfs/bafkqaaa", time.time() + 100), time.time())
    async with http_router() as server, open_routers([GONE, server.url], Guard()) as routers:
        await routers.publish(KEY.name, made)
        assert server.records == {str(KEY.name): made.raw}


@given(
    st.binary(max_size=300)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(
        lambda value: json.dumps(
            {"Providers": [value], "Schema": "peer", "ID": ONE.peer, "Addrs": value}
        ).encode()
    )
)
def test_any_bytes_are_records_or_none(data: bytes) -> None:
    """Invariant: a record has a peer id, and addresses that begin with a slash."""
    for one in (record_of(data), *records_of(data, "Providers")):
        assert one is None or (one.peer and all(place.startswith("/") for place in one.addresses))
