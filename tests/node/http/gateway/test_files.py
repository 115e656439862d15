"""Files and directories over HTTP: whole and in parts, their types and names, and what is not there."""

import random
from pathlib import Path
from urllib.parse import quote

import pytest
from support.gateway import Gateway, directory

from blockstore.block import Block
from blockstore.cid import CID, DAG_PB
from blockstore.ipld import dag_pb
from blockstore.ipld.dag_pb import PBNode
from blockstore.unixfs.data import NodeType, UnixFSData
from blockstore.unixfs.importing.options import ImportFlags

BIG = random.Random(7).randbytes(2 << 20)  # several blocks, none like another
CHUNK = 256 * 1024
MISSING = Block.of(b"not here").cid
FILES = {
    "d/hello.txt": b"hello\n",
    "d/100% sure#?.html": b"<p>sure</p>",
    "d/big": BIG,
    "d/site/index.html": b"<h1>site</h1>",
}


@pytest.fixture
async def root(gateway: Gateway) -> Block | CID | Path | str:
    return await gateway.add(FILES, ImportFlags(chunker=f"size-{CHUNK}"))


async def test_a_file_carries_what_caches_and_browsers_need(gateway: Gateway, root: CID) -> None:
    answer = await gateway.get(f"/ipfs/{root}/hello.txt")
    cid = Block.of(b"hello\n").cid
    assert (answer.status, answer.body) == (200, b"hello\n")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Etag"] == f'"{cid}"'
    assert answer.headers["Cache-Control"] == "public, max-age=29030400, immutable"
    assert "X-Ipfs-Path" not in answer.headers  # its successor is below
    assert answer.headers["X-Ipfs-Roots"] == f"{root},{cid}"
    assert answer.headers["Ipfs-Uri"] == f"ipfs://{root}/hello.txt"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_large_file_is_whole_and_its_head_has_the_length(gateway: Gateway, root: CID) -> None:
    answer = await gateway.get(f"/ipfs/{root}/big")
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, BIG, str(len(BIG)))
    assert answer.headers["Content-Type"] == "application/octet-stream"
    head = await gateway.head(f"/ipfs/{root}/big")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(BIG)))


async def test_ranges_of_a_file(gateway: Gateway, root: CID) -> None:
    for header, start, stop in (
        ("bytes=0-0", 0, 1),
        (f"bytes={CHUNK - 1}-{CHUNK}", CHUNK - 1, CHUNK + 1),
        ("bytes=-5", len(BIG) - 5, len(BIG)),
        ("bytes=2000000-", 2000000, len(BIG)),
    ):
        part = await gateway.get(f"/ipfs/{root}/big", Range=header)
        assert (part.status, part.body) == (206, BIG[start:stop])
        assert part.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(BIG)}"
    outside = await gateway.get(f"/ipfs/{root}/hello.txt", Range="bytes=6-")
    assert (outside.status, outside.headers["Content-Range"]) == (416, "bytes */6")
    assert (await gateway.get(f"/ipfs/{root}/hello.txt", Range="bytes=b-a")).status == 400


async def test_a_client_that_has_it_gets_304(gateway: Gateway, root: CID) -> None:
    for path in ("/hello.txt", "/big", "/", "/site/", "?format=raw", "?format=car"):
        answer = await gateway.get(f"/ipfs/{root}{path}")
        etag = answer.headers["Etag"]
        again = await gateway.get(f"/ipfs/{root}{path}", If_None_Match=f'"other", {etag}')
        assert (again.status, again.body, again.headers["Etag"]) == (304, b"", etag), path
        assert again.headers["Cache-Control"] == answer.headers["Cache-Control"]


async def test_a_directory_redirects_to_its_slash_and_lists_its_entries(gateway: Gateway, root: CID) -> None:
    moved = await gateway.get(f"/ipfs/{root}?a=b")
    assert (moved.status, moved.headers["Location"]) == (301, f"/ipfs/{root}/?a=b")
    page = await gateway.get(f"/ipfs/{root}/")
    assert page.status == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Etag"].startswith('"DirIndex-')
    assert f'href="/ipfs/{root}/{quote("100% sure#?.html")}"' in page.text
    assert "Index of" in page.text
    assert "2.1 MB" in page.text
    head = await gateway.head(f"/ipfs/{root}/")
    assert (head.status, head.body) == (200, b"")


async def test_index_html_stands_for_its_directory(gateway: Gateway, root: CID) -> None:
    answer = await gateway.get(f"/ipfs/{root}/site/")
    assert (answer.status, answer.body) == (200, b"<h1>site</h1>")
    assert answer.headers["Content-Type"] == "text/html"
    assert answer.headers["Etag"] == f'"{answer.headers["X-Ipfs-Roots"].split(",")[-1]}"'


async def test_a_symlink_is_shown_not_followed(gateway: Gateway) -> None:
    data = UnixFSData(NodeType.SYMLINK, b"hello.txt").encode()
    link = Block.of(dag_pb.encode(PBNode((), data)), DAG_PB)
    tree = directory({"link": link.cid})
    await gateway.put(link, tree)
    answer = await gateway.get(f"/ipfs/{tree.cid}/link")
    assert (answer.status, answer.body) == (200, b"hello.txt")
    assert answer.headers["Content-Type"] == "inode/symlink"
    known = await gateway.get(f"/ipfs/{tree.cid}/link", If_None_Match=answer.headers["Etag"])
    assert known.status == 304
    saved = await gateway.get(f"/ipfs/{tree.cid}/link?filename=to.txt&download=true")
    assert saved.headers["Content-Disposition"] == 'attachment; filename="to.txt"'


async def test_a_file_name_and_download_set_the_disposition(gateway: Gateway, root: CID) -> None:
    named = await gateway.get(f"/ipfs/{root}/big?filename=a.png")
    assert named.headers["Content-Disposition"] == 'inline; filename="a.png"'
    assert named.headers["Content-Type"] == "image/png"
    for name, disposition in (
        (f"{quote('тест.tar')}&download=true",
         "attachment; filename=\"____.tar\"; filename*=UTF-8''%D1%82%D0%B5%D1%81%D1%82.tar"),
        ("100%2525.txt", "inline; filename=\"100%2525.txt\"; filename*=UTF-8''100%2525.txt"),
    ):  # fmt: skip
        answer = await gateway.get(f"/ipfs/{root}/big?filename={name}")
        assert answer.headers["Content-Disposition"] == disposition


async def test_what_is_not_there_says_so(gateway: Gateway, root: CID) -> None:
    answer = await gateway.get(f"/ipfs/{root}/nothing")
    assert (answer.status, answer.text) == (404, f'no link named "nothing" under {root}\n')
    answer = await gateway.get(f"/ipfs/{MISSING}")
    assert answer.status == 404
    assert "offline" in answer.text
    answer = await gateway.get("/ipfs/QmInvalidCID/a")
    assert answer.status == 400
    assert 'invalid path "/ipfs/QmInvalidCID/a"' in answer.text
    assert (await gateway.get(f"/ipfs/{MISSING}", Cache_Control="only-if-cached")).status == 412
    assert (await gateway.get(f"/ipfs/{root}?format=dag-json")).status == 406
    assert (await gateway.get("/ipns/example.com")).status == 500
    assert (await gateway.get("/elsewhere")).status == 404
    assert (await gateway.get(f"/ipfs/{root}/..%2f..%2fetc")).status == 400


async def test_a_file_with_a_missing_block_breaks_the_connection_instead_of_ending_short(
    gateway: Gateway, root: CID
) -> None:
    await gateway.forget(Block.of(BIG[-CHUNK:]).cid)
    answer = await gateway.raw(f"GET /ipfs/{root}/big HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(BIG)}".encode() in head
    assert len(body) < len(BIG)


@pytest.mark.parametrize("size", [3_000, 200_000])
async def test_the_type_is_told_by_the_first_bytes_however_they_are_cut(gateway: Gateway, size: int) -> None:
    page = b" " * 150 + b"<html>" + b"x" * size
    root = await gateway.add({"page": page}, ImportFlags(chunker="size-100"))
    for asked in ({}, {"Range": "bytes=0-1"}, {"Range": "bytes=0-"}):
        assert (await gateway.get(f"/ipfs/{root}", **asked)).headers["Content-Type"] == "text/html"
    assert (await gateway.head(f"/ipfs/{root}")).headers["Content-Type"] == "text/html"
    assert (await gateway.get(f"/ipfs/{root}")).body == page
    later = await gateway.get(f"/ipfs/{root}", Range="bytes=200-")
    assert later.headers["Content-Type"] == "application/octet-stream"
