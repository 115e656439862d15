"""Strangers that take places and give nothing, on real sockets: a newcomer gets in beside them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
from support.p2p_networks import SETTINGS, networks, stranger, until_peer

from node.p2p.admission.places import MOST_UNPROVEN
from node.p2p.errors import NetworkError
from node.p2p.portal import Portal
from node.p2p.transport import negotiation

KEY = b"k" * 32
HEADER = b"\x13/multistream/1.0.0\n"


async def _hold(host: str, port: int, first: bytes, there: asyncio.Event) -> None:
    """Connect, say so much, and wait; again at once when thrown out."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0))
            with contextlib.closing(writer):
                writer.write(first)
                there.set()
                while await reader.read(1000):
                    continue
        await asyncio.sleep(0.05)


@asynccontextmanager
async def holding(hosts: list[str], port: int, first: bytes) -> AsyncIterator[None]:
    """Such connections from those addresses."""
    there = [asyncio.Event() for _ in hosts]
    tasks = [
        asyncio.create_task(_hold(host, port, first, event)) for host, event in zip(hosts, there, strict=True)
    ]
    await asyncio.gather(*(event.wait() for event in there))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.mark.parametrize("psk", [None, KEY], ids=["open", "private"])
@pytest.mark.parametrize(
    "first",
    [b"", b"\x13", HEADER, HEADER + b"\x07/noise\n", HEADER + b"\x07/noise\n\x00\x20"],
    ids=["silent", "a byte", "multistream", "noise", "half a handshake"],
)
async def test_connections_that_prove_nothing_keep_nobody_out(first: bytes, psk: bytes | None) -> None:
    async with networks(2, replace(SETTINGS, psk=psk)) as (_, (a, b)):
        port = int(a.addresses()[0].split("/")[4])
        crowd = ["127.0.0.9"] * 80 + [f"127.0.1.{n}" for n in range(1, 20)]
        assert len(crowd) > MOST_UNPROVEN
        async with holding(crowd, port, first):
            await b.connect(a.addresses()[0])
            await until_peer(a, b.self_id)


async def invent(portal: Portal, address: str, host: str, count: int, open_streams: bool) -> None:
    """So many peers of invented ids at that source address, connected for as long as the task runs."""

    async def one() -> None:
        try:
            async with stranger(address, host) as connection:
                if open_streams:
                    pipe = await connection.muxer.open_stream()
                    await negotiation.ask(pipe, ["/ipfs/ping/1.0.0"])
                await trio.sleep_forever()
        except* (NetworkError, OSError):
            pass

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(one)

    await portal.to_trio(run)


@pytest.mark.parametrize("open_streams", [False, True])
async def test_invented_ids_of_one_address_hold_no_place_that_another_needs(open_streams: bool) -> None:
    async with networks(3, replace(SETTINGS, max_connections=16)) as (portal, (a, b, c)):
        await b.connect(a.addresses()[0])
        await until_peer(a, b.self_id)
        a.note_use(b.self_id)
        crowd = asyncio.create_task(invent(portal, a.addresses()[0], "127.0.0.9", 30, open_streams))
        while len(a.peers()) < 16:  # noqa: ASYNC110 - the crowd has no event of its own
            await asyncio.sleep(0.05)
        await c.connect(a.addresses()[0])
        await until_peer(a, c.self_id)
        assert b.self_id in a.peers()
        crowd.cancel()
        await asyncio.wait([crowd])
