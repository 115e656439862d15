"""Small answers are kept ready: what a client gets is the same, and nothing outlives what it was made of."""

import asyncio
import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from support.gateway import Gateway, open_gateway
from support.node import eventually

from blockstore.block import Block
from blockstore.unixfs.importing.options import ImportFlags
from cluster.pin import PinOptions
from node.config.sections import GatewayConfig
from node.http.gateway.replies import response_cache
from node.http.gateway.replies.response_headers import IMMUTABLE
from node.http.listener import ListenerSettings, listen

PAGE = b"<!DOCTYPE html><p>hello"


async def twice(gateway: Gateway, path: str, **headers: str) -> list[tuple[int, dict[str, str], bytes]]:
    """The answer that is made, and the one that is kept, in what a client can tell apart."""
    answers = [await gateway.get(path, **headers) for _ in range(2)]
    return [(a.status, {k: v for k, v in a.headers.items() if k != "Date"}, a.body) for a in answers]


async def test_the_answer_from_memory_is_the_one_that_was_made(gateway: Gateway) -> None:
    root = await gateway.add({"site/index.html": PAGE, "site/a.txt": b"a" * 3000, "site/ünï": b""})
    for path in (
        f"/ipfs/{root}/",
        f"/ipfs/{root}/a.txt",
        f"/ipfs/{root}/a.txt?filename=b.html&download=true",
    ):
        made, kept = await twice(gateway, path)
        assert made == kept
        assert made[0] == 200
    assert (await gateway.get(f"/ipfs/{root}/a.txt")).headers["Date"].endswith("GMT")


async def from_memory(gateway: Gateway, block: Block) -> bool:
    """Only an answer that is made tells where its time went."""
    answer = await gateway.get(f"/ipfs/{block.cid}")
    assert answer.body == block.data
    return "Server-Timing" not in answer.headers


async def test_it_does_come_from_memory(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, GatewayConfig(server_timing=True)) as gateway:
        block = Block.of(b"here, then gone")
        await gateway.put(block)
        assert [await from_memory(gateway, block) for _ in range(3)] == [False, True, True]
        with closing(sqlite3.connect(tmp_path / "blocks.db")) as behind_its_back, behind_its_back:
            behind_its_back.execute("DELETE FROM blocks")
        assert await from_memory(gateway, block)
        assert not await gateway.node.parts.store.has(block.cid)


async def test_an_answer_is_not_kept_where_something_changed_while_it_was_made() -> None:
    version = 0
    made: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal version
        key = response_cache.cache_key(request)
        assert key is not None
        if ready := cache.get(key):
            return ready
        before = cache.version()
        made.append(request)
        version += len(made) == 1
        assert cache.get(key) is None  # as others ask meanwhile
        response = web.Response(body=b"x", headers={"Cache-Control": IMMUTABLE})
        cache.put(key, response, before)
        return response

    cache = response_cache.ResponseCache(lambda: version)
    app = web.Application()
    app.router.add_get("/", answer)
    async with (
        listen(app, ListenerSettings("gateway", "127.0.0.1", 0)) as listener,
        ClientSession() as client,
    ):
        for _ in range(4):
            async with client.get(listener.url) as response:
                assert await response.read() == b"x"
    assert len(made) == 2


async def test_what_is_deleted_is_not_given_from_memory(gateway: Gateway) -> None:
    block = Block.of(b"collected")
    await gateway.put(block)
    assert [(await gateway.get(f"/ipfs/{block.cid}")).status for _ in range(2)] == [200, 200]
    async for _ in gateway.node.parts.garbage_collection.run():
        pass
    assert (await gateway.get(f"/ipfs/{block.cid}")).status == 404


async def test_what_is_denied_later_is_not_given_from_memory(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        root = await gateway.add({"site/a.txt": b"to be denied"})
        path = f"/ipfs/{root}/a.txt"
        assert (await gateway.get(path)).status == 200
        folder = tmp_path / "denylists"
        folder.mkdir(exist_ok=True)
        (folder / "new.deny").write_text(f"{path}\n")

        async def denied() -> bool:
            return (await gateway.get(path)).status == 410

        await eventually(denied)


async def test_other_requests_for_the_same_path_get_their_own_answers(gateway: Gateway) -> None:
    root = await gateway.add({"site/a.txt": b"0123456789"})
    path = f"/ipfs/{root}/a.txt"
    etag = (await gateway.get(path)).headers["Etag"]
    assert (await gateway.get(path)).body == b"0123456789"
    assert (await gateway.get(path, Range="bytes=2-3")).body == b"23"
    assert (await gateway.get(path, If_None_Match=etag)).status == 304
    assert (await gateway.get(path, If_Match='"other"')).status == 412
    assert (await gateway.head(path)).body == b""
    assert (await gateway.get(path, Accept="application/vnd.ipld.raw")).headers["Etag"] != etag
    assert (await gateway.get(path, Host="localhost")).status == 301
    assert (await gateway.get(path, X_Forwarded_Host="localhost")).status == 301
    assert (await gateway.get(path, "POST")).status == 405


async def test_a_client_of_one_request_gets_it_and_the_end_of_the_connection(gateway: Gateway) -> None:
    block = Block.of(b"once")
    await gateway.put(block)
    await gateway.get(f"/ipfs/{block.cid}", Host="h")
    for version, header in (("1.1", "Connection: close\r\n"), ("1.0", "")):
        request = f"GET /ipfs/{block.cid} HTTP/{version}\r\nHost: h\r\n{header}\r\n"
        answer = await gateway.raw(request.encode())
        assert answer.endswith(b"\r\n\r\nonce")


async def test_pipelined_requests_are_answered_in_order(gateway: Gateway) -> None:
    blocks = [Block.of(text) for text in (b"first", b"second", b"third")]
    await gateway.put(*blocks)
    requests = [f"GET /ipfs/{block.cid} HTTP/1.1\r\nHost: h\r\n\r\n" for block in blocks]
    for _ in range(2):
        last = requests[0].replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
        answer = await gateway.raw("".join((*requests, *requests, last)).encode())
        bodies = [part.rpartition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK")[1:]]
        assert bodies == [b"first", b"second", b"third"] * 2 + [b"first"]


async def test_only_what_is_pinned_now_is_given_where_that_is_the_policy(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, GatewayConfig(only_pinned=True)) as gateway:
        root = await gateway.add({"a.txt": b"pinned for a while"})
        cluster = gateway.node.parts.cluster
        await cluster.pin(root, PinOptions())
        assert [(await gateway.get(f"/ipfs/{root}")).status for _ in range(2)] == [200, 200]
        await cluster.unpin(root)
        assert (await gateway.get(f"/ipfs/{root}")).status == 403


async def test_memory_is_bounded_and_who_was_asked_for_longest_ago_goes_first() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        key = response_cache.cache_key(request)
        assert key is not None
        if ready := cache.get(key):
            return ready
        made.append(request.path)
        response = web.Response(body=bytes(1000), headers={"Cache-Control": IMMUTABLE})
        cache.put(key, response, cache.version())
        return response

    made: list[str] = []
    cache = response_cache.ResponseCache(lambda: 0, max_bytes=9_500)
    app = web.Application()
    app.router.add_get("/{name}", answer)
    async with (
        listen(app, ListenerSettings("gateway", "127.0.0.1", 0)) as listener,
        ClientSession() as client,
    ):
        for name in "abcd" + "a" + "e" + "a" + "b":
            async with client.get(f"{listener.url}/{name}") as response:
                assert await response.read() == bytes(1000)
    assert made == ["/a", "/b", "/c", "/d", "/e", "/b"]


async def test_requests_that_are_made_long_are_not_kept(gateway: Gateway) -> None:
    """They would be most of the memory: what bounds it counts answers."""
    tracemalloc.start()
    for number in range(400):
        path = f"/ipfs/bafkqaaa?{number}={'x' * 20_000}"
        answer = await gateway.get(path, Accept=f"text/plain;x={'y' * 8000}", Host="h" * 8000)
        assert answer.status == 200
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 25_000_000  # yarl, too, remembers some hundred URLs


async def test_large_files_and_pages_are_not_kept(gateway: Gateway) -> None:
    large = await gateway.add(
        {"large": b"x" * (response_cache.MAX_BODY + 1)}, ImportFlags(chunker="size-262144")
    )
    folder = await gateway.add({"folder/a": b"a"})
    for path in (f"/ipfs/{large}", f"/ipfs/{folder}/"):
        made, kept = await twice(gateway, path)
        assert made == kept


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb"])
async def test_no_header_can_be_slipped_in_by_a_file_name(gateway: Gateway, value: str) -> None:
    block = Block.of(b"plain")
    await gateway.put(block)
    name = value.encode().hex("%", 1)
    for _ in range(2):
        answer = await gateway.get(f"/ipfs/{block.cid}?filename=%{name}")
        assert "X-Evil" not in answer.headers


async def test_a_paced_client_is_paced_from_memory_too(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, GatewayConfig(client_bytes=100_000)) as gateway:
        block = Block.of(b"p" * 40_000)
        await gateway.put(block)
        began = asyncio.get_running_loop().time()
        for _ in range(4):  # the first second's worth may come at once
            assert (await gateway.get(f"/ipfs/{block.cid}")).body == block.data
        assert asyncio.get_running_loop().time() - began > 0.4
