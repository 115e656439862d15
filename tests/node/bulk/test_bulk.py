"""Two members and what they give each other in bulk; and all who may stand between them."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import ssl
from contextlib import aclosing
from dataclasses import replace

import pytest
from support.bulk import (
    SECRET,
    SETTINGS,
    admit_all,
    bulk_member,
    bulk_members,
    client_context,
    said,
)

from blockstore.block import MAX_BLOCK_BYTES, Block
from blockstore.cid import CID, DAG_PB
from node.bulk.arrivals import MAX_HANDSHAKES, PEER_CONNECTIONS
from node.bulk.listener import BulkPortInUse
from node.bulk.wire import encode_wants
from node.datadir.identity import Identity

BLOCKS = [Block.of(b"block %d" % number) for number in range(3000)]
LARGE = [Block.of(os.urandom(1024 * 1024)) for _ in range(24)]
HELLO = b"GET /v1/hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def post(body: bytes) -> bytes:
    head = f"POST /v1/blocks HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def test_a_list_of_blocks_comes_in_order_and_what_is_not_there_is_left_out() -> None:
    odd = [Block.of(b""), Block.of(os.urandom(MAX_BLOCK_BYTES)), Block.of(b"\x0a\x04some", DAG_PB, version=0)]
    async with bulk_members(2) as (a, b):
        held = [*BLOCKS, *odd]
        await a.source.store.put_many(held)
        wanted = [*held[:1500], Block.of(b"nowhere"), *held[1500:], held[0]]
        assert await b.fetch(wanted, a) == held
        assert await b.fetch([Block.of(b"nowhere")], a) == []
        assert (a.bulk.refused(), b.bulk.refused()) == ({}, {})


async def test_only_members_that_are_named_are_asked_and_what_one_lacks_the_next_gives() -> None:
    async with bulk_members(3) as (a, b, c):
        await a.source.store.put_many(BLOCKS[:50])
        await b.source.store.put_many(BLOCKS[50:100])
        assert await c.fetch(BLOCKS[:100]) == []
        assert await c.fetch(BLOCKS[:100], b) == BLOCKS[50:100]
        assert await c.fetch(BLOCKS[:101], a, b) == BLOCKS[:100]


async def test_bytes_that_are_not_the_block_are_refused_and_come_from_the_next_member() -> None:
    async with bulk_members(3) as (liar, honest, c):
        for member in (liar, honest):
            await member.source.store.put_many(LARGE[:3])
        liar.source.lies = True
        assert await c.fetch(LARGE[:3], liar, honest) == LARGE[:3]
        assert c.bulk.refused() == {"wrong bytes": 1}
        assert liar.peer not in c.bulk.reached()


async def test_a_member_that_is_removed_is_out_in_the_middle_of_a_stream_and_for_good() -> None:
    async with bulk_members(2) as (a, b):
        await a.source.store.put_many(LARGE)
        groups = b.bulk.exchange.fetch_groups([block.cid for block in LARGE], [a.peer])
        async with aclosing(groups):
            first = await anext(groups)
            a.source.released.clear()
            a.bulk.admit({a.peer: [a.address]})
            rest = [block async for group in groups for block in group]
        assert len(first) + len(rest) < len(LARGE)
        assert await b.fetch(LARGE, a) == []
        await a.source.until(lambda: a.source.reading == 0)
        assert await said(a.bulk.port, client_context(b.identity), HELLO) == b""
        assert a.bulk.refused()["no member"] >= 2


async def test_a_member_that_this_node_removed_is_not_asked_any_more() -> None:
    async with bulk_members(2) as (a, b):
        await a.source.store.put_many(LARGE)
        a.source.released.clear()
        fetching = asyncio.create_task(b.fetch(LARGE, a))
        await a.source.until(lambda: a.source.reading == 1)
        b.bulk.admit({b.peer: [b.address]})
        assert await fetching == []
        assert b.bulk.reached() == frozenset()


@pytest.mark.parametrize(
    "stranger",
    [
        client_context(Identity.generate(), secret=b"x" * 32),
        client_context(Identity.generate(), cluster=b"other" * 6),
        client_context(Identity.generate(), age=dt.timedelta(days=31)),
        client_context(Identity.generate(), age=-dt.timedelta(days=3)),
    ],
    ids=["other secret", "other cluster", "expired", "not yet valid"],
)
async def test_certificates_that_do_not_belong_here_end_in_the_handshake(stranger: ssl.SSLContext) -> None:
    async with bulk_member() as a:
        a.bulk.admit({a.peer: []})
        assert await said(a.bulk.port, stranger, HELLO) == b""
        while not a.bulk.refused():  # noqa: ASYNC110 - it comes a moment after the client has gone
            await asyncio.sleep(0.01)
        assert a.bulk.refused() == {"handshake": 1}


async def test_who_has_the_secret_and_is_no_member_gets_nothing_nor_who_has_no_certificate() -> None:
    async with bulk_member() as a:
        await a.source.store.put_many(BLOCKS[:1])
        request = post(encode_wants([BLOCKS[0].cid]))
        nameless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        nameless.check_hostname, nameless.verify_mode = False, ssl.CERT_NONE
        for context in (client_context(Identity.generate()), nameless, None):
            assert await said(a.bulk.port, context, request) == b""
        assert a.source.reads == 0


async def test_another_member_at_the_address_of_one_is_not_taken_for_it() -> None:
    async with bulk_member() as a, bulk_member() as b, bulk_member() as c:
        admit_all(a, b, c)
        await c.reaches(a)
        await b.source.store.put_many(BLOCKS[:1])
        c.bulk.admit({a.peer: [b.address], b.peer: [], c.peer: []})
        while not c.bulk.refused():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert c.bulk.refused() == {"wrong key": 1}
        assert await c.fetch(BLOCKS[:1], a) == []
        assert b.source.reads == 0


async def test_what_is_not_wanted_any_more_is_not_read_a_tenth_of_a_second_later() -> None:
    async with bulk_members(2) as (a, b):
        await a.source.store.put_many(LARGE)
        a.source.released.clear()
        fetching = asyncio.create_task(b.fetch(LARGE, a))
        await a.source.until(lambda: a.source.reading == 1)
        fetching.cancel()
        async with asyncio.timeout(0.1):
            await a.source.until(lambda: a.source.reading == 0)


async def test_a_reader_that_is_slow_holds_a_bounded_part_of_what_was_asked_for() -> None:
    async with bulk_members(2) as (a, b):
        await a.source.store.put_many(LARGE)
        groups = b.bulk.exchange.fetch_groups([block.cid for block in LARGE], [a.peer])
        async with aclosing(groups):
            await anext(groups)
            await asyncio.sleep(0.5)
            assert a.source.reads < len(LARGE) // 2
            rest = [block async for group in groups for block in group]
        assert rest[-1] == LARGE[-1]


async def test_a_member_that_comes_back_is_found_again() -> None:
    async with bulk_member() as b:
        async with bulk_member() as a:
            admit_all(a, b)
            await b.reaches(a)
            identity, port = a.identity, a.bulk.port
        assert await b.fetch(BLOCKS[:1], a) == []
        assert b.bulk.reached() == frozenset()
        async with bulk_member(replace(SETTINGS, port=port), identity) as again:
            again.bulk.admit({again.peer: [], b.peer: []})
            b.bulk.appeared(again.peer)
            await b.reaches(again)
            await again.source.store.put_many(BLOCKS[:1])
            assert await b.fetch(BLOCKS[:1], again) == BLOCKS[:1]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HELLO, 200),
        (b"GET /v1/blocks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
        (b"GET /../secret HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
        (post(b""), 400),
        (post(b"\xff"), 400),
        (post(b"\x03abc"), 400),
        (post(encode_wants([BLOCKS[0].cid] * 4097)), 400),
        (post(b"\0" * 300_000), 400),
        (b"\0\1\2\r\n\r\n", 400),
    ],
)
async def test_what_is_no_request_is_refused_and_nothing_is_read(request_: bytes, status: int) -> None:
    async with bulk_member() as a:
        member = Identity.generate()
        a.bulk.admit({a.peer: [], member.peer_id: []})
        answer = await said(a.bulk.port, client_context(member), request_)
        assert answer.startswith(f"HTTP/1.{0 if request_[:1] == bytes(1) else 1} {status}".encode())
        assert a.source.reads == 0


async def test_connections_that_say_nothing_and_those_of_one_member_are_bounded() -> None:
    async with bulk_member() as a:
        member = Identity.generate()
        a.bulk.admit({a.peer: [], member.peer_id: []})
        context = client_context(member)
        many = [await asyncio.open_connection("127.0.0.1", a.bulk.port, ssl=context) for _ in range(20)]
        answers = await asyncio.gather(*(_hello(reader, writer) for reader, writer in many))
        assert sum(answers) == PEER_CONNECTIONS
        silent = [await asyncio.open_connection("127.0.0.1", a.bulk.port) for _ in range(MAX_HANDSHAKES + 8)]
        ended = await asyncio.gather(*(reader.read() for reader, _ in silent[MAX_HANDSHAKES:]))
        assert ended == [b""] * 8
        for _, writer in (*many, *silent):
            writer.close()
        assert a.bulk.refused()["too many"] == 20 - PEER_CONNECTIONS + 8


async def _hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    writer.write(HELLO.replace(b"Connection: close\r\n", b""))
    try:
        return (await reader.readline()).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


async def test_blocks_that_nothing_could_verify_are_not_asked_for() -> None:
    unknown = CID.v1(0x55, b"\x99\x01\x20" + bytes(32))
    async with bulk_members(2) as (a, b):
        groups = b.bulk.exchange.fetch_groups([unknown, CID.identity(0x55, b"here")], [a.peer])
        assert [group async for group in groups] == []
        assert a.source.reads == 0


async def test_a_port_that_is_taken_is_said_with_its_setting() -> None:
    async with bulk_member() as a:
        with pytest.raises(BulkPortInUse, match=r"bulk\.port"):
            async with bulk_member(replace(SETTINGS, port=a.bulk.port)):
                pass


def test_the_secret_is_in_no_text() -> None:
    assert repr(SECRET) not in repr(SETTINGS)


@pytest.mark.parametrize(
    ("host", "cluster", "told"),
    [
        ("0.0.0.0", "/ip4/192.0.2.7/tcp/9096", "/ip4/192.0.2.7/tcp/"),
        ("", "/dns4/example.org/tcp/9096", "/dns4/example.org/tcp/"),
        ("127.0.0.1", "/ip4/192.0.2.7/tcp/9096", None),
        ("127.0.0.1", "/ip4/127.0.0.1/tcp/9096", "/ip4/127.0.0.1/tcp/"),
    ],
)
async def test_addresses_are_told_that_can_lead_here(host: str, cluster: str, told: str | None) -> None:
    async with bulk_member(replace(SETTINGS, host=host)) as a:
        found = a.bulk.addresses([f"{cluster}/p2p/{a.peer}", "/ip4/1.2.3.4/udp/1"])
        assert found == (() if told is None else (f"{told}{a.bulk.port}/p2p/{a.peer}",))
