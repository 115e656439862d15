"""Strangers that begin messages and never end them: what a process holds of them, and for how long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import psutil  # type: ignore[import-untyped]  # its types are not in our needs
import pytest
import trio
from support import p2p_node
from support.p2p_networks import SETTINGS, as_stranger, networks, stranger

from blockstore.common import varint
from node.p2p.admission.stream_limit import FEW, MOST
from node.p2p.errors import NetworkError
from node.p2p.transport import negotiation
from node.p2p.transport.connection import Connection, Pipe

MIB = 1024 * 1024
CALL, MESSAGES, GOSSIP = "/pinfold/call/1.0.0", "/victim/raises/1", "/meshsub/1.1.0"


async def attack(address: str, source: str, work: Callable[[Connection], Awaitable[None]]) -> None:
    """Do something with a connection from that source, until it is lost."""
    try:
        async with stranger(address, source) as connection:
            await work(connection)
            await trio.sleep_forever()
    except* (NetworkError, OSError):
        pass


async def hoard(connection: Connection, protocol: str | None, streams: int, data: bytes) -> None:
    """On so many streams, these bytes after agreeing on a protocol, or before."""

    async def one() -> None:
        try:
            pipe = await connection.muxer.open_stream()
            if protocol is not None:
                await negotiation.ask(pipe, [protocol])
            await pipe.write(data)
        except NetworkError:
            return

    async with trio.open_nursery() as nursery:
        for _ in range(streams):
            nursery.start_soon(one)


@pytest.mark.parametrize(
    ("protocol", "data"),
    [
        (MESSAGES, varint.encode(4 * MIB) + bytes(255_000)),
        pytest.param(MESSAGES, varint.encode(4 * MIB) + bytes(MIB), marks=pytest.mark.slow),
        pytest.param(CALL, varint.encode(255_001) + bytes(255_000), marks=pytest.mark.slow),
        (GOSSIP, varint.encode(MIB) + bytes(255_000)),
        pytest.param("/ipfs/id/1.0.0", bytes(255_000), marks=pytest.mark.slow),
        pytest.param("/ipfs/ping/1.0.0", bytes(31), marks=pytest.mark.slow),
        (None, b"\x13/multistream/1.0.0\n\xff\x07" + bytes(255_000)),
        pytest.param(None, bytes(255_000), marks=pytest.mark.slow),
    ],
    ids=["messages", "long messages", "calls", "gossip", "identify", "ping", "half a wish", "no header"],
)
def test_unfinished_messages_of_many_peers_take_little_memory(protocol: str | None, data: bytes) -> None:
    with p2p_node.process() as (popen, address):
        victim = psutil.Process(popen.pid)

        async def run() -> float:
            async with trio.open_nursery() as nursery:
                for number in range(4):
                    source = f"127.0.0.{number + 2}"
                    nursery.start_soon(
                        attack, address, source, lambda connection: hoard(connection, protocol, 250, data)
                    )
                most = 0.0
                for _ in range(15):
                    await trio.sleep(0.1)
                    most = max(most, victim.memory_info().rss)
                nursery.cancel_scope.cancel()
            return most

        before = victim.memory_info().rss
        assert (trio.run(run) - before) / MIB < 100
        trio.run(_echo, address)


async def _echo(address: str) -> None:
    """An honest peer's ping."""
    done = trio.Event()

    async def ping(connection: Connection) -> None:
        pipe = await connection.muxer.open_stream()
        await negotiation.ask(pipe, ["/ipfs/ping/1.0.0"])
        await pipe.write(b"p" * 32)
        assert await pipe.read_exactly(32) == b"p" * 32
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(attack, address, "127.0.0.1", ping)
        with trio.fail_after(60):
            await done.wait()
        nursery.cancel_scope.cancel()


async def test_idle_streams_of_one_protocol_are_few() -> None:
    async with networks(1) as (portal, (a,)):
        a.on_message(["/messages/1"], _nothing)

        async def open_many(connection: Connection) -> int:
            pipes = []
            for _ in range(FEW * 3):
                pipe = await connection.muxer.open_stream()
                await negotiation.ask(pipe, ["/messages/1"])
                pipes.append(pipe)
            await _pinged(connection)
            return sum(not pipe.lost for pipe in pipes)  # type: ignore[attr-defined]  # of our muxer

        assert await as_stranger(portal, a.addresses()[0], open_many) <= FEW


async def test_busy_streams_of_one_protocol_are_bounded() -> None:
    async with networks(1) as (portal, (a,)):
        a.on_message(["/messages/1"], _nothing)

        async def open_many(connection: Connection) -> int:
            pipes = []
            for _ in range(MOST + 20):
                pipe = await connection.muxer.open_stream()
                await negotiation.ask(pipe, ["/messages/1"])
                await pipe.write(b"\x7fa")
                pipes.append(pipe)
            await _pinged(connection)
            return sum(not pipe.lost for pipe in pipes)  # type: ignore[attr-defined]  # of our muxer

        assert await as_stranger(portal, a.addresses()[0], open_many) <= MOST


async def _nothing(_peer: str, _protocol: str, _message: bytes) -> None:
    """Messages of no interest."""


async def _pinged(connection: Connection) -> None:
    pipe = await connection.muxer.open_stream()
    await negotiation.ask(pipe, ["/ipfs/ping/1.0.0"])
    await pipe.write(b"p" * 32)
    assert await pipe.read_exactly(32) == b"p" * 32


async def _talk(pipe: Pipe) -> None:
    while True:
        await pipe.write(bytes(1000))
        await trio.sleep(0.05)


async def test_who_keeps_writing_after_its_answer_is_reset() -> None:
    async with networks(1, replace(SETTINGS, linger=0.5)) as (portal, (a,)):

        async def talk_on(connection: Connection) -> None:
            pipe = await connection.muxer.open_stream()
            await negotiation.ask(pipe, ["/ipfs/id/1.0.0"])
            while await pipe.read():
                continue
            with pytest.raises(NetworkError):
                await _talk(pipe)

        await as_stranger(portal, a.addresses()[0], talk_on)
