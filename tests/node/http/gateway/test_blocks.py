"""Blocks as they are (specs: path gateway, trustless gateway), and what caches are told of everything."""

from pathlib import Path

import pytest
from support.dags import leaves
from support.gateway import Gateway, directory, file_of, open_gateway

from blockstore.block import Block
from blockstore.cid import CID, RAW
from node.config.sections import GatewayConfig

IMMUTABLE = "public, max-age=29030400, immutable"
GONE = Block.of(b"never stored").cid
TYPE = "application/vnd.ipld.raw"


@pytest.mark.parametrize(("suffix", "headers"), [("?format=raw", {}), ("", {"Accept": TYPE})])
async def test_any_block_is_given_under_its_path(
    gateway: Gateway, suffix: str, headers: dict[str, str]
) -> None:
    leaf = Block.of(b"leaf " * 20)
    root = directory({"leaf": leaf.cid})
    await gateway.put(leaf, root)
    for path, block in ((f"{root.cid}", root), (f"{root.cid}/leaf", leaf), (f"{leaf.cid}", leaf)):
        answer = await gateway.get(f"/ipfs/{path}{suffix}", **headers)
        assert (answer.status, answer.body) == (200, block.data)
        assert answer.headers["Content-Type"] == TYPE
        assert answer.headers["Etag"] == f'"{block.cid}.raw"'
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{block.cid}.bin"'
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == IMMUTABLE
        head = await gateway.head(f"/ipfs/{path}{suffix}", **headers)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["Content-Length"] == str(len(block.data))
        known = await gateway.get(f"/ipfs/{path}{suffix}", If_None_Match="*", **headers)
        assert (known.status, known.body, known.headers["Cache-Control"]) == (304, b"", IMMUTABLE)
        part = await gateway.get(f"/ipfs/{path}{suffix}", Range="bytes=2-5", **headers)
        assert (part.status, part.body) == (206, block.data[2:6])


async def test_an_inline_cid_is_its_own_block(gateway: Gateway) -> None:
    inline = CID.identity(RAW, b"hi there")
    answer = await gateway.get(f"/ipfs/{inline}?format=raw")
    assert (answer.status, answer.body) == (200, b"hi there")
    assert (await gateway.get("/ipfs/bafkqaaa?format=raw")).body == b""
    too_long = CID(1, RAW, b"\x00\x81\x01" + bytes(129))
    assert (await gateway.get(f"/ipfs/{too_long}?format=raw")).status == 400


async def test_what_is_not_here_is_told_without_going_out(gateway: Gateway) -> None:
    leaf = Block.of(b"here")
    await gateway.put(leaf)
    for method in ("GET", "HEAD"):
        for suffix in ("", "?format=raw", "?format=car", "?format=tar"):
            missing = await gateway.get(f"/ipfs/{GONE}{suffix}", method, Cache_Control="only-if-cached")
            assert missing.status == 412
            here = await gateway.get(f"/ipfs/{leaf.cid}{suffix}", method, Cache_Control="only-if-cached")
            assert here.status == 200


@pytest.mark.parametrize(
    "accept", ["application/vnd.ipld.unheard-of", "application/vnd.ipfs.x", f"{TYPE}; =", f"{TYPE}; a b"]
)
async def test_formats_that_nobody_knows_and_bad_parameters_are_refused(
    gateway: Gateway, accept: str
) -> None:
    assert (await gateway.get("/ipfs/bafkqaaa", Accept=accept)).status == 400


@pytest.mark.parametrize(
    "accept", ["", "*/*", "text/html;q=0.9,image/*", ";;,,=", "application/xml", "x" * 4000]
)
async def test_what_accept_says_of_other_things_does_not_matter(gateway: Gateway, accept: str) -> None:
    leaf = Block.of(b"plain text")
    await gateway.put(leaf)
    answer = await gateway.get(f"/ipfs/{leaf.cid}", Accept=accept)
    assert (answer.status, answer.body) == (200, b"plain text")
    assert "Content-Location" not in answer.headers


async def test_a_format_chosen_by_accept_tells_its_own_address(gateway: Gateway) -> None:
    leaf = Block.of(b"leaf")
    await gateway.put(leaf)
    answer = await gateway.get(f"/ipfs/{leaf.cid}?a=%26b&format=odd", Accept=TYPE)
    assert answer.headers["Content-Location"] == f"/ipfs/{leaf.cid}?a=%26b&format=raw"


async def test_a_file_with_a_gap_gives_the_ranges_that_it_has(gateway: Gateway) -> None:
    parts = leaves(3, size=1000)
    file = file_of(parts)
    whole = b"".join(part.data for part in parts)
    await gateway.put(file, parts[0], parts[2])
    for header, start, stop in (
        ("bytes=998-999", 998, 1000),
        ("bytes=2000-", 2000, 3000),
        ("bytes=-1", 2999, 3000),
    ):
        answer = await gateway.get(f"/ipfs/{file.cid}", Range=header)
        assert (answer.status, answer.body) == (206, whole[start:stop])
        assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/3000"
    assert (await gateway.get(f"/ipfs/{file.cid}", Range="bytes=1000-1001")).status == 404


@pytest.mark.parametrize(
    "header", ["bytes=", "bytes=-", "bytes=x-y", "bytes=5-2", "bytes=1-2-3", "bytes=--1"]
)
async def test_ranges_that_do_not_parse_are_refused(gateway: Gateway, header: str) -> None:
    parts = leaves(2)
    file = file_of(parts)
    await gateway.put(file, *parts)
    for path in (f"{file.cid}", f"{parts[0].cid}", f"{parts[0].cid}?format=raw"):
        assert (await gateway.get(f"/ipfs/{path}", Range=header)).status == 400


async def test_the_old_path_header_is_sent_where_the_operator_wants_it(tmp_path: Path) -> None:
    leaf = Block.of(b"leaf")
    root = directory({"ö": leaf.cid, "o": leaf.cid})
    async with open_gateway(tmp_path, GatewayConfig(x_ipfs_path=True)) as gateway:
        await gateway.put(leaf, root)
        for suffix in ("", "?format=raw", "?format=car", "?format=tar"):
            answer = await gateway.head(f"/ipfs/{root.cid}/o{suffix}")
            assert answer.headers["X-Ipfs-Path"] == f"/ipfs/{root.cid}/o"
            assert answer.headers["Ipfs-Uri"] == f"ipfs://{root.cid}/o"
            assert "X-Ipfs-Path" in answer.headers["Access-Control-Expose-Headers"]
        assert "X-Ipfs-Path" not in (await gateway.head(f"/ipfs/{root.cid}/%C3%B6")).headers
