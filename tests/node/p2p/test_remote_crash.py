"""What a stranger may send, and that the node survives it (py-libp2p's own host does not)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from dataclasses import replace

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.p2p_networks import SETTINGS, Collector, as_stranger, networks

from blockstore.common import varint
from node.p2p.errors import NetworkError
from node.p2p.network import Libp2pNetwork
from node.p2p.portal import Portal
from node.p2p.swarm import identify
from node.p2p.transport import negotiation
from node.p2p.transport.connection import Connection

HEADER = b"\x13/multistream/1.0.0\n"
PAYLOADS = {
    "nothing": b"",
    "noise": b"\xff" * 20,
    "header, then noise": HEADER + b"\xff" * 12,
    "a protocol that is not UTF-8": HEADER + b"\x05/\xff\xfe\xfd\n",
    "a header that is not UTF-8": b"\x05\xff\xfe\xfd\xfc\n",
    "an endless line": HEADER + varint.encode(2**40),
    "many wrong wishes": HEADER + b"\x05/no/\n"[:6] * 100,
    "every byte": bytes(range(7, 250)),
}


async def _still_serves(portal: Portal, a: Libp2pNetwork) -> None:
    await as_stranger(portal, a.addresses()[0], _ping)


async def _ping(connection: Connection) -> None:
    pipe = await connection.muxer.open_stream()
    await negotiation.ask(pipe, ["/ipfs/ping/1.0.0"])
    await pipe.write(b"p" * 32)
    assert await pipe.read_exactly(32) == b"p" * 32


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_bad_negotiations_cost_their_stream_only(end: str, caplog: pytest.LogCaptureFixture) -> None:
    async with networks(1) as (portal, (a,)):

        async def attack(connection: Connection) -> None:
            for payload in PAYLOADS.values():
                pipe = await connection.muxer.open_stream()
                await pipe.write(payload)
                await (pipe.close() if end == "close" else pipe.reset())
            await _ping(connection)  # on the very same connection

        await as_stranger(portal, a.addresses()[0], attack)
        await _still_serves(portal, a)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_raw_tcp_nonsense_costs_its_connection_only() -> None:
    async with networks(1) as (portal, (a,)):
        port = int(a.addresses()[0].split("/")[4])
        noise = [
            HEADER + b"\x07/noise\n" + tail for tail in (b"\xff" * 300, b"\0\x20" + b"\1" * 32, b"\0\0", b"")
        ]
        for payload in [*PAYLOADS.values(), *noise]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.suppress(OSError):  # thrown out before our bytes were read
                writer.write(payload)
                writer.write_eof()
                await reader.read()
            writer.close()
        await _still_serves(portal, a)


async def test_a_handler_that_raises_costs_its_message_only(caplog: pytest.LogCaptureFixture) -> None:
    async with networks(2) as (portal, (a, b)):

        async def boom(_peer: str, _protocol: str, _message: bytes) -> None:
            raise RuntimeError("boom")

        a.on_message(["/boom/1"], boom)
        await b.connect(a.addresses()[0])
        await b.send(a.self_id, ["/boom/1"], b"x")
        await _still_serves(portal, a)
        await b.ping(a.self_id)
    assert "boom" in caplog.text


async def test_nonsense_on_every_protocol_costs_its_stream_only() -> None:
    async with networks(1) as (portal, (a,)):
        a.on_message(["/messages/1"], Collector())

        async def attack(connection: Connection) -> None:
            protocols = ("/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0", "/messages/1")
            for protocol in (*protocols, "/pinfold/call/1.0.0"):
                for payload in (b"\xff" * 64, b"\x05hello", b"\x02\x00\xff", os.urandom(300), b""):
                    pipe = await connection.muxer.open_stream()
                    await negotiation.ask(pipe, [protocol])
                    await pipe.write(payload)
                    await pipe.close()
            await _ping(connection)

        await as_stranger(portal, a.addresses()[0], attack)
        await _still_serves(portal, a)


@pytest.mark.parametrize("protocol", ["/meshsub/1.2.0", "/meshsub/1.1.0"])
async def test_nonsense_as_gossip_costs_its_stream_only(protocol: str) -> None:
    async with networks(1, replace(SETTINGS, gossip=True)) as (portal, (a,)):
        a.subscribe("t", Collector().gossip)

        async def attack(connection: Connection) -> None:
            for payload in (
                b"\xff" * 64,
                b"\x05hello",
                b"\x02\x00\xff",
                b"\x03\x1a\x01\xff",
                os.urandom(300),
                b"",
            ):
                with trio.move_on_after(5):
                    pipe = await connection.muxer.open_stream()
                    await negotiation.ask(pipe, [protocol])
                    await pipe.write(payload)
                    await pipe.close()
            await _ping(connection)

        while protocol not in await _protocols(portal, a):
            continue  # gossip starts beside the host
        await as_stranger(portal, a.addresses()[0], attack)
        await _still_serves(portal, a)


async def _protocols(portal: Portal, a: Libp2pNetwork) -> tuple[str, ...]:
    async def ask(connection: Connection) -> tuple[str, ...]:
        pipe = await connection.muxer.open_stream()
        await negotiation.ask(pipe, [identify.PROTOCOL])
        return (await identify.read(pipe)).protocols

    return await as_stranger(portal, a.addresses()[0], ask)


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(frames=st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_as_muxer_frames_cost_their_connection_only(frames: list[bytes]) -> None:
    async def run() -> None:
        async with networks(1) as (portal, (a,)):

            async def attack(connection: Connection) -> None:
                muxer = connection.muxer
                try:
                    for frame in frames:
                        await muxer._writer.write(frame)  # type: ignore[attr-defined]  # white box: below its rules
                except NetworkError:
                    return  # thrown out before we were done

            await as_stranger(portal, a.addresses()[0], attack)
            await _still_serves(portal, a)

    asyncio.run(run())
