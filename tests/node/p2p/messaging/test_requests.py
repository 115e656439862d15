"""Requests that are answered on their own stream: bounded, each for itself, whatever the other end does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from support.p2p_networks import as_stranger, networks

from bitswap.network import PeerUnreachable, ProtocolTaken
from blockstore.common import varint
from node.p2p.network import Libp2pNetwork
from node.p2p.portal import Portal
from node.p2p.transport import negotiation
from node.p2p.transport.connection import Connection

PROTOCOL = "/test/ask/1"


@asynccontextmanager
async def two() -> AsyncIterator[tuple[Portal, Libp2pNetwork, Libp2pNetwork]]:
    """The first has reached the second, which answers."""
    async with networks(2) as (portal, (a, b)):

        def answer(peer: str, protocol: str, request: bytes) -> bytes | None:
            if request == b"fault":
                raise ZeroDivisionError
            return {b"refuse": None, b"tell": b""}.get(request, request * 2)

        b.requests.on_request([PROTOCOL], answer, 1000)
        await a.reach(b.self_id, b.addresses())
        yield portal, a, b


async def test_a_request_is_answered_and_many_at_once_each_by_its_own() -> None:
    async with two() as (_, a, b):
        asked = [a.requests.ask(b.self_id, PROTOCOL, b"%d" % number, 100) for number in range(12)]
        assert await asyncio.gather(*asked) == [b"%d%d" % (number, number) for number in range(12)]


async def test_what_cannot_be_answered_ends_its_stream_and_nothing_else() -> None:
    async with two() as (_, a, b):
        for request in (b"refuse", b"fault", bytes(1001)):
            with pytest.raises(PeerUnreachable):
                await a.requests.ask(b.self_id, PROTOCOL, request, 100)
        with pytest.raises(PeerUnreachable, match="the limit is 3"):
            await a.requests.ask(b.self_id, PROTOCOL, b"long", 3)
        with pytest.raises(PeerUnreachable, match="speaks none"):
            await a.requests.ask(b.self_id, "/other/1", b"", 3)
        assert await a.requests.ask(b.self_id, PROTOCOL, b"still", 100) == b"stillstill"


async def test_messages_without_an_answer_are_heard_in_order() -> None:
    async with networks(2) as (_, (a, b)):
        heard: list[bytes] = []
        all_heard = asyncio.Event()

        def hear(peer: str, protocol: str, request: bytes) -> bytes:
            heard.append(request)
            if len(heard) == 100:
                all_heard.set()
            return b""

        b.requests.on_request([PROTOCOL], hear, 1000)
        with pytest.raises(ProtocolTaken):
            b.requests.on_request([PROTOCOL], hear, 1000)
        await a.reach(b.self_id, b.addresses())
        await a.requests.tell(b.self_id, PROTOCOL, [b"%d" % number for number in range(100)])
        await all_heard.wait()
        assert heard == [b"%d" % number for number in range(100)]


async def test_several_requests_on_one_stream_are_answered_in_turn() -> None:
    async with two() as (portal, _, b):

        async def act(connection: Connection) -> bytes:
            pipe = await connection.muxer.open_stream()
            await negotiation.ask(pipe, [PROTOCOL])
            await pipe.write(b"".join(varint.encode(1) + bytes([n]) for n in range(3)))
            return await pipe.read_exactly(9)

        assert await as_stranger(portal, b.addresses()[0], act) == b"\2\0\0\2\1\1\2\2\2"


async def test_a_peer_that_stops_inside_a_request_is_left() -> None:
    async with two() as (portal, a, b):

        async def act(connection: Connection) -> None:
            for _ in range(200):
                pipe = await connection.muxer.open_stream()
                await negotiation.ask(pipe, [PROTOCOL])
                await pipe.write(varint.encode(900) + b"half")
            await trio.lowlevel.checkpoint()

        await as_stranger(portal, b.addresses()[0], act)
        assert await a.requests.ask(b.self_id, PROTOCOL, b"x", 100) == b"xx"


async def test_a_peer_is_reached_where_it_is_among_places_where_it_is_not() -> None:
    async with networks(3) as (_, (a, b, c)):
        other = c.addresses()[0].rpartition("/p2p/")[0]
        odd = ["/ip4/127.0.0.1/udp/1/quic-v1", "nonsense", "/ip4/127.0.0.1/tcp/1", other]
        await a.reach(b.self_id, [*odd, b.addresses()[0].rpartition("/p2p/")[0]])
        assert b.self_id in a.peers()
        with pytest.raises(PeerUnreachable):
            await a.reach(c.self_id, odd[:3])
