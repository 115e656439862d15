"""Content made to do harm: deep, lying, huge, going round in circles. A status, bounded time and memory."""

import asyncio
import contextlib
import io
import json
import logging
import resource
import tarfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TypedDict, Unpack

import cbrrr
import pytest
from aiohttp import ClientPayloadError
from support.dags import chain, leaf, leaves
from support.gateway import Gateway, directory, open_gateway

from blockstore.block import Block
from blockstore.cid import DAG_CBOR, DAG_JSON, DAG_PB
from blockstore.ipld import dag_pb
from blockstore.ipld.dag_pb import PBLink, PBNode
from blockstore.unixfs.data import NodeType, UnixFSData

KNOWN = leaf(77)
DEEP = 10_000
SECONDS = 5.0


@pytest.fixture(autouse=True)
async def lives_on(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """Afterwards the gateway serves, nobody was told of an error, and it holds no more memory than 200 MB."""
    await gateway.put(KNOWN)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with caplog.at_level(logging.WARNING):
        yield
        assert (await gateway.get(f"/ipfs/{KNOWN.cid}")).body == KNOWN.data
    assert caplog.records == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


async def status(gateway: Gateway, path: str, **headers: str) -> int:
    begun = time.process_time()  # the node's and ours: what other programs take of the machine is not counted
    answer = await asyncio.wait_for(gateway.get(path, **headers), 6 * SECONDS)
    assert time.process_time() - begun < SECONDS
    return answer.status


def nested(wrap: Callable[[Block], Block], inside: Block) -> list[Block]:
    """DEEP blocks around the innermost, outermost first."""
    blocks = [inside]
    for _ in range(DEEP):
        blocks.append(wrap(blocks[-1]))
    return blocks[::-1]


class Fields(TypedDict, total=False):
    """Those of a node's data that a test may say."""

    data: bytes
    filesize: int | None
    blocksizes: tuple[int, ...]
    hash_type: int
    fanout: int


def unixfs(kind: NodeType, links: Sequence[tuple[str, Block]] = (), **fields: Unpack[Fields]) -> Block:
    """A node that says whatever is given, true or not."""
    data = UnixFSData(kind, **fields).encode()
    return Block.of(
        dag_pb.encode(PBNode(tuple(PBLink(block.cid, name, 1) for name, block in links), data)), DAG_PB
    )


async def test_directories_ten_thousand_deep(gateway: Gateway) -> None:
    blocks = nested(lambda inner: directory({"a": inner.cid}), leaf(1))
    await gateway.put(*blocks)
    root = blocks[0].cid
    assert await status(gateway, f"/ipfs/{root}/") == 200
    assert await status(gateway, f"/ipfs/{root}?format=raw") == 200
    assert await status(gateway, f"/ipfs/{root}{'/a' * 1000}/") == 200
    assert await status(gateway, f"/ipfs/{root}{'/a' * 1000}?format=car&dag-scope=block") == 200
    assert await status(gateway, f"/ipfs/{root}{'/a' * 1025}/") == 400
    assert await status(gateway, f"/ipfs/{root}{'/a' * 9000}/") == 400
    assert await status(gateway, f"/ipfs/{root}?format=car") == 500
    assert await status(gateway, f"/ipfs/{root}?format=car&dag-scope=entity") == 200
    cut = await gateway.raw(f"GET /ipfs/{root}?format=tar HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert cut.startswith(b"HTTP/1.1 200 OK")
    assert b"X-Stream-Error: " in cut[-2000:]
    assert len(cut) < 1_000_000


async def test_a_file_ten_thousand_deep(gateway: Gateway) -> None:
    def around(inner: Block) -> Block:
        return unixfs(NodeType.FILE, [("", inner)], filesize=8, blocksizes=(8,))

    blocks = nested(around, Block.of(b"8 bytes!"))
    await gateway.put(*blocks)
    for suffix in (
        "",
        "?format=tar",
        "?format=car",
        "?format=car&dag-scope=entity",
        "?format=car&entity-bytes=0:1",
    ):
        assert await status(gateway, f"/ipfs/{blocks[0].cid}{suffix}") == 500
    assert await status(gateway, f"/ipfs/{blocks[0].cid}", Range="bytes=3-4") == 500
    assert await status(gateway, f"/ipfs/{blocks[-200].cid}") == 200


async def test_plain_nodes_ten_thousand_deep(gateway: Gateway) -> None:
    blocks = chain(DEEP)
    await gateway.put(*blocks)
    assert await status(gateway, f"/ipfs/{blocks[0].cid}?format=car") == 500
    assert await status(gateway, f"/ipfs/{blocks[0].cid}") in (400, 500)
    cbor = nested(
        lambda inner: Block.of(bytes(cbrrr.encode_dag_cbor([cbrrr.CID(bytes(inner.cid))])), DAG_CBOR), leaf(2)
    )
    await gateway.put(*cbor)
    assert await status(gateway, f"/ipfs/{cbor[0].cid}{'/0' * 1000}?format=raw") == 200
    assert await status(gateway, f"/ipfs/{cbor[0].cid}?format=car") == 500


async def test_shards_ten_thousand_deep(gateway: Gateway) -> None:
    shards = nested(
        lambda inner: unixfs(NodeType.HAMT, [("00", inner)], data=b"\x01", hash_type=0x22, fanout=256),
        directory({}),
    )
    await gateway.put(*shards)
    root = shards[0].cid
    for path in (
        "/",
        "/name",
        "?format=tar",
        "?format=car",
        "?format=car&dag-scope=entity",
        "/name?format=car",
    ):
        assert await status(gateway, f"/ipfs/{root}{path}") in (404, 500), path


async def test_a_sharded_directory_of_more_names_than_there_are(gateway: Gateway) -> None:
    """256^8 entries in nine blocks: each shard has the next one below it in every place."""
    full: Fields = {"data": b"\xff" * 32, "hash_type": 0x22, "fanout": 256}
    inner = leaf(3)
    shard = unixfs(NodeType.HAMT, [(f"{place:02X}name", inner) for place in range(256)], **full)
    blocks = [inner, shard]
    for _ in range(7):
        shard = unixfs(NodeType.HAMT, [(f"{place:02X}", shard) for place in range(256)], **full)
        blocks.append(shard)
    await gateway.put(*blocks)
    root = shard.cid
    assert await status(gateway, f"/ipfs/{root}?format=car") == 200
    assert await status(gateway, f"/ipfs/{root}/nobody") == 404
    for suffix in ("/", "?format=tar"):  # names are not where their hashes put them
        assert await status(gateway, f"/ipfs/{root}{suffix}") == 500
    with pytest.raises(ClientPayloadError):  # found behind the first 64 KiB
        await gateway.get(f"/ipfs/{root}?format=car&dag-scope=entity")
    await begins_and_is_left(gateway, f"/ipfs/{root}?format=car&car-dups=y")


async def test_blocks_that_are_something_else_than_their_parent_says(gateway: Gateway) -> None:
    small, folder = leaf(5, 10), directory({"a": leaf(5, 10).cid})
    node, garbage = Block.of(b"\xa0", DAG_CBOR), Block.of(b"\xff\xff", DAG_PB)
    strange = {
        "directory as part": unixfs(NodeType.FILE, [("", folder)], filesize=9, blocksizes=(9,)),
        "node as part": unixfs(NodeType.FILE, [("", node)], filesize=1, blocksizes=(1,)),
        "garbage as part": unixfs(NodeType.FILE, [("", garbage)], filesize=1, blocksizes=(1,)),
        "short part": unixfs(NodeType.FILE, [("", small)], filesize=2**60, blocksizes=(2**60,)),
        "long part": unixfs(NodeType.FILE, [("", small)], filesize=3, blocksizes=(3,)),
        "other sum": unixfs(NodeType.FILE, [("", small)], filesize=11, blocksizes=(10,)),
        "no sizes": unixfs(NodeType.FILE, [("", small)], filesize=10),
        "more sizes": unixfs(NodeType.FILE, [("", small)], filesize=20, blocksizes=(10, 10)),
        "endless sum": unixfs(NodeType.FILE, [("", small)] * 9, filesize=None, blocksizes=(2**63 - 1,) * 9),
        "metadata": unixfs(NodeType.METADATA, [("", small)]),
        "no shard": unixfs(NodeType.HAMT, [("00", folder)], data=b"\x01", hash_type=0x22, fanout=256),
        "fanout": unixfs(NodeType.HAMT, [("00", small)], data=b"\x01", hash_type=0x22, fanout=3),
        "huge fanout": unixfs(NodeType.HAMT, [("00", small)], data=b"\x01", hash_type=0x22, fanout=2**40),
    }  # fmt: skip
    await gateway.put(small, folder, node, garbage, *strange.values())
    for what, block in strange.items():
        for suffix in ("", "/", "/x", "?format=tar", "?filename=a.bin", "?format=car&entity-bytes=0:*"):
            found = await status(gateway, f"/ipfs/{block.cid}{suffix}")
            assert found in (200, 301, 400, 404, 406, 500), (what, suffix, found)
            assert found != 200 or "car" in suffix, (what, suffix)
        assert await status(gateway, f"/ipfs/{block.cid}", Range="bytes=2-5") in (301, 400, 404, 416, 500), (
            what
        )
        assert await status(gateway, f"/ipfs/{block.cid}?format=raw") == 200


async def test_an_archive_with_names_that_fight(gateway: Gateway) -> None:
    inner = leaf(6)
    for names in (
        ["a", "a"],
        ["a", "a/b"],
        ["a/b", "a"],
        ["", "a"],
        [".", "a"],
        ["..", "a"],
        ["/etc/x"],
        ["a\0b"],
    ):
        links = [(name, inner) for name in names]
        root = unixfs(NodeType.DIRECTORY, links)
        await gateway.put(inner, root)
        answer = await gateway.get(f"/ipfs/{root.cid}?format=tar")
        if answer.status == 200:
            with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
                assert all(member.name.startswith(str(root.cid)) for member in archive)
        else:
            assert answer.status == 400
        assert await status(gateway, f"/ipfs/{root.cid}/") == 200


HUGE: dict[str, cbrrr.DagCborTypes] = {
    "many numbers": list(range(300_000)),
    "many keys": {f"{number}": None for number in range(100_000)},
    "many links": [cbrrr.CID(bytes(KNOWN.cid))] * 45_000,
    "one long text": "<" * 1_900_000,
    "one long key": {"k" * 1_900_000: 1},
    "many bytes": b"\xff" * 1_900_000,
    "many texts": ["&" * 1000] * 1900,
}


async def test_a_page_of_a_huge_node_is_short_and_soon_there(gateway: Gateway) -> None:
    for what, value in HUGE.items():
        node = Block.of(bytes(cbrrr.encode_dag_cbor(value)), DAG_CBOR)
        await gateway.put(node)
        begun = time.process_time()
        answer = await gateway.get(f"/ipfs/{node.cid}", Accept="text/html")
        assert answer.status == 200
        assert len(answer.body) < 4_000_000, what
        assert time.process_time() - begun < SECONDS, what


async def test_nodes_nested_without_end(gateway: Gateway) -> None:
    for block in (
        Block.of(b"[" * 500_000 + b"]" * 500_000, DAG_JSON),
        Block.of(b'{"a":' * 200_000 + b"1" + b"}" * 200_000, DAG_JSON),
        Block.of(b"\x81" * 200_000 + b"\x01", DAG_CBOR),
        Block.of(b"\xa1\x61a" * 100_000 + b"\x01", DAG_CBOR),
        Block.of(b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", DAG_CBOR),
        Block.of(b"\x7b\x7f\xff\xff\xff\xff\xff\xff\xff", DAG_CBOR),
        Block.of(json.dumps({"/": {"bytes": "A" * 1_000_000}}).encode(), DAG_JSON),
        Block.of(b"1" * 1_000_000, DAG_JSON),
    ):
        await gateway.put(block)
        with contextlib.suppress(ClientPayloadError):  # the block is sent before it is looked into
            assert await status(gateway, f"/ipfs/{block.cid}?format=car") in (200, 500)
        page = await status(gateway, f"/ipfs/{block.cid}", Accept="text/html")
        assert page in (200, 500), block.data[:9]
        for suffix in ("", "/0/0/0", "/a/a", "?format=car&dag-scope=block", "?format=dag-json"):
            found = await status(gateway, f"/ipfs/{block.cid}{suffix}")
            assert found in (200, 404, 406, 500, 501), (block.data[:9], suffix, found)


async def test_names_that_lead_in_circles_or_on_and_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = {"a": "b", "b": "a", "c": "c", **{f"n{number}": f"n{number + 1}" for number in range(40)}}
    entries = (f"{name}.example.org:/ipns/{to}.example.org/x" for name, to in ways.items())
    monkeypatch.setenv("IPFS_NS_MAP", ",".join((*entries, "n40.example.org:/ipfs/bafkqaaa")))
    async with open_gateway(tmp_path / "names") as gateway:
        for name in ("a.example.org", "c.example.org", "n0.example.org"):
            assert await status(gateway, f"/ipns/{name}/x") == 400
            assert await status(gateway, "/x", Host=name) == 400
        assert await status(gateway, "/ipns/n30.example.org/x") == 404


async def test_rules_that_rewrite_for_ever_or_write_headers(gateway: Gateway) -> None:
    rules = (
        b"/a /b 200\n/b /a 200\n/c/* /c/:splat/c 200\n/evil /\0\x01x 302\n/odd https://a.b/\xc3\xa9\x7f 302\n"
    )
    root = await gateway.add({"d/_redirects": rules, "d/x": b"x"})
    host = f"{root}.ipfs.localhost"
    for path in ("/a", "/b", "/c/d"):
        assert await status(gateway, path, Host=host) == 404
    assert (await gateway.get("/evil", Host=host)).headers["Location"] == "/%00%01x"
    assert (await gateway.get("/odd?a=b", Host=host)).headers["Location"] == "https://a.b/%C3%A9%7F?a=b"


async def test_a_file_of_a_million_empty_parts(gateway: Gateway) -> None:
    """Links of no bytes: there is nothing to read, so nothing is."""
    root = unixfs(NodeType.FILE, [("", Block.of(b""))] * 20_000, filesize=0, blocksizes=(0,) * 20_000)
    await gateway.put(root)
    assert await status(gateway, f"/ipfs/{root.cid}") == 200


async def test_one_small_block_many_times_over(gateway: Gateway) -> None:
    """2^30 leaves in 31 blocks: a CAR without repeats is short, the rest is sent until the client leaves."""
    level = leaves(1, size=1000)[0]
    size, blocks = 1000, [level]
    for _ in range(30):
        size *= 2
        level = unixfs(NodeType.FILE, [("", level)] * 2, filesize=size, blocksizes=(size // 2,) * 2)
        blocks.append(level)
    await gateway.put(*blocks)
    assert await status(gateway, f"/ipfs/{level.cid}?format=car") == 200
    assert (await gateway.get(f"/ipfs/{level.cid}", Range=f"bytes={size - 3}-")).status == 206
    for suffix in ("", "?format=car&car-dups=y", "?format=tar"):
        await begins_and_is_left(gateway, f"/ipfs/{level.cid}{suffix}")


async def begins_and_is_left(gateway: Gateway, path: str) -> None:
    """An answer without end: some of it comes, and the client has enough."""
    listener = gateway.node.faces.gateway
    reader, writer = await asyncio.open_connection(listener.host, listener.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await asyncio.wait_for(reader.readexactly(300_000), 6 * SECONDS)
    writer.close()
