"""The gateway of a real node: files, directories, ranges, blocks and CARs over HTTP."""

import asyncio
import random
from contextlib import asynccontextmanager
from urllib.parse import quote

import pytest
from aiohttp import ClientSession
from support.gateway import open_gateway
from support.node import running_node
from yarl import URL

from blockstore.block import Block
from blockstore.car_reader import read_car
from blockstore.cid import CID, DAG_CBOR, DAG_PB
from blockstore.unixfs.entries import DirectoryEntry, FileEntry, SymlinkEntry
from blockstore.unixfs.importer import import_entries
from blockstore.unixfs.options import ImportFlags, resolve

BIG = random.Random(7).randbytes(2 << 20)  # several blocks, none like another
MISSING = Block.of(b"not here").cid


async def pieces(data):
    yield data


async def add(node, *entries, **flags):
    """Store a tree and return the root's CID."""
    options = resolve("unixfs-v1-2025", ImportFlags(chunker="size-262144", **flags))

    async def given():
        for entry in entries:
            yield entry

    return [added async for added in import_entries(given(), node.parts.blocks, options)][-1].cid


def tree():
    return (
        FileEntry("d/hello.txt", pieces(b"hello\n")),
        FileEntry("d/100% sure#?.html", pieces(b"<p>sure</p>")),
        FileEntry("d/big", pieces(BIG)),
        FileEntry("d/site/index.html", pieces(b"<h1>site</h1>")),
        FileEntry("d/site/日本.txt", pieces(b"x")),
        SymlinkEntry("d/link", "hello.txt"),
        DirectoryEntry("d/empty"),
    )


class Gateway:
    """Requests to one gateway, paths as they are."""

    def __init__(self, url, client):
        self.url = url
        self.client = client

    async def __call__(self, path, method="GET", **headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        url = URL(self.url + path, encoded=True)
        async with self.client.request(method, url, headers=names, allow_redirects=False) as answer:
            return answer.status, answer.headers, await answer.read()


@asynccontextmanager
async def gateway(tmp_path):
    async with running_node(tmp_path) as node, ClientSession(skip_auto_headers=["Accept"]) as client:
        yield node, Gateway(node.faces.gateway.url, client)


async def test_a_file_carries_what_caches_and_browsers_need(tmp_path):
    async with gateway(tmp_path) as (node, get):
        root = await add(node, *tree())
        status, headers, body = await get(f"/ipfs/{root}/hello.txt")
        cid = Block.of(b"hello\n").cid
        assert (status, body) == (200, b"hello\n")
        assert headers["Content-Type"] == "text/plain; charset=utf-8"
        assert headers["Etag"] == f'"{cid}"'
        assert headers["Cache-Control"] == "public, max-age=29030400, immutable"
        assert "X-Ipfs-Path" not in headers  # its successor is below
        assert headers["X-Ipfs-Roots"] == f"{root},{cid}"
        assert headers["Ipfs-Uri"] == f"ipfs://{root}/hello.txt"
        assert headers["Accept-Ranges"] == "bytes"
        assert headers["Access-Control-Allow-Origin"] == "*"


async def test_a_large_file_is_whole_and_its_head_has_the_length(tmp_path):
    async with gateway(tmp_path) as (node, get):
        root = await add(node, *tree())
        status, headers, body = await get(f"/ipfs/{root}/big")
        assert (status, body, headers["Content-Length"]) == (200, BIG, str(len(BIG)))
        assert headers["Content-Type"] == "application/octet-stream"
        status, headers, body = await get(f"/ipfs/{root}/big", "HEAD")
        assert (status, body, headers["Content-Length"]) == (200, b"", str(len(BIG)))


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [("bytes=0-0", 0, 1), ("bytes=262143-262144", 262143, 262145), ("bytes=-5", len(BIG) - 5, len(BIG)),
     ("bytes=2000000-", 2000000, len(BIG))],
)  # fmt: skip
async def test_a_range_of_a_file(tmp_path, header, start, stop):
    async with gateway(tmp_path) as (node, get):
        root = await add(node, *tree())
        status, headers, body = await get(f"/ipfs/{root}/big", Range=header)
        assert (status, body) == (206, BIG[start:stop])
        assert headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(BIG)}"


async def test_a_range_needs_only_its_own_blocks(tmp_path):
    async with gateway(tmp_path) as (node, get):
        root = await add(node, FileEntry("f.bin", pieces(BIG)))
        leaves = [Block.of(BIG[at : at + 262144]).cid for at in range(262144, 2 * 262144, 262144)]
        await node.parts.store.delete_many(leaves)
        status, _, body = await get(f"/ipfs/{root}?filename=f.bin", Range="bytes=10-19")
        assert (status, body) == (206, BIG[10:20])


async def test_ranges_that_cannot_be(tmp_path):
    async with gateway(tmp_path) as (node, get):
        root = await add(node, *tree())
        status, headers, _ = await get(f"/ipfs/{root}/hello.txt", Range="bytes=6-")
        assert (status, headers["Content-Range"]) == (416, "bytes */6")
        assert (await get(f"/ipfs/{root}/hello.txt", Range="bytes=b-a"))[0] == 400


async def test_a_client_that_has_it_gets_304(tmp_path):
    async with gateway(tmp_path) as (node, get):
        root = await add(node, *tree())
        for path in ("/hello.txt", "/big", "/", "/site/", "/link", "?format=raw", "?format=car"):
            _, headers, _ = await get(f"/ipfs/{root}{path}")
            status, again, body = await get(
                f"/ipfs/{root}{path}", If_None_Match=f'"other", {headers["Etag"]}'
            )
            assert (status, body, again["Etag"]) == (304, b"", headers["Etag"]), path
            assert again["Cache-Control"] == headers["Cache-Control"]


async def test_a_directory_redirects_to_its_slash_and_lists_its_entries(tmp_path):
    async with gateway(tmp_path) as (node, get):
        root = await add(node, *tree())
        status, headers, _ = await get(f"/ipfs/{root}?a=b")
        assert (status, headers["Location"]) == (301, f"/ipfs/{root}/?a=b")
        status, headers, body = await get(f"/ipfs/{root}/")
        page = body.decode()
        assert status == 200
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert headers["Etag"].startswith('"DirIndex-')
        assert f'href="/ipfs/{root}/{quote("100% sure#?.html")}"' in page
        assert "Index of" in page
        assert "2.1 MB" in page
        status, headers, body = await get(f"/ipfs/{root}/", "HEAD")
        assert (status, body) == (200, b"")


async def test_index_html_stands_for_its_directory(tmp_path):
    async with gateway(tmp_path) as (node, get):
        root = await add(node, *tree())
        status, headers, body = await get(f"/ipfs/{root}/site/")
        assert (status, body) == (200, b"<h1>site</h1>")
        assert headers["Content-Type"] == "text/html"
        assert headers["Etag"] == f'"{headers["X-Ipfs-Roots"].split(",")[-1]}"'


async def test_names_are_decoded_once(tmp_path):
    async with gateway(tmp_path) as (node, get):
        root = await add(node, *tree())
        status, headers, body = await get(f"/ipfs/{root}/100%25%20sure%23%3F.html")
        assert (status, body) == (200, b"<p>sure</p>")
        assert headers["Ipfs-Uri"] == f"ipfs://{root}/100%25%20sure%23%3F.html"
        status, headers, _ = await get(f"/ipfs/{root}/site/%E6%97%A5%E6%9C%AC.txt")
        assert status == 200
        assert "X-Ipfs-Path" not in headers  # not ASCII


async def test_a_symlink_is_shown_not_followed(tmp_path):
    async with gateway(tmp_path) as (node, get):
        root = await add(node, *tree())
        status, headers, body = await get(f"/ipfs/{root}/link")
        assert (status, headers["Content-Type"], body) == (200, "inode/symlink", b"hello.txt")


async def test_a_file_name_and_download_set_the_disposition(tmp_path):
    async with gateway(tmp_path) as (node, get):
        root = await add(node, *tree())
        _, headers, _ = await get(f"/ipfs/{root}/big?filename=a.png")
        assert (headers["Content-Disposition"], headers["Content-Type"]) == (
            'inline; filename="a.png"',
            "image/png",
        )
        _, headers, _ = await get(f"/ipfs/{root}/big?filename={quote('тест.tar')}&download=true")
        assert headers["Content-Disposition"] == (
            "attachment; filename=\"____.tar\"; filename*=UTF-8''%D1%82%D0%B5%D1%81%D1%82.tar"
        )
        _, headers, _ = await get(f"/ipfs/{root}/big?filename=100%2525.txt")
        assert (
            headers["Content-Disposition"]
            == "inline; filename=\"100%2525.txt\"; filename*=UTF-8''100%2525.txt"
        )


@pytest.mark.parametrize("how", [("?format=raw", {}), ("", {"Accept": "application/vnd.ipld.raw"})])
async def test_a_raw_block_can_be_verified_by_its_client(tmp_path, how):
    suffix, headers = how
    async with gateway(tmp_path) as (node, get):
        root = await add(node, *tree())
        status, answer, body = await get(f"/ipfs/{root}/site{suffix}", **headers)
        cid = CID.parse(answer["X-Ipfs-Roots"].split(",")[-1])
        assert status == 200
        assert Block.verify(cid, body).cid.codec == DAG_PB
        assert answer["Content-Type"] == "application/vnd.ipld.raw"
        assert answer["Etag"] == f'"{cid}.raw"'
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Disposition"] == f'attachment; filename="{cid}.bin"'


async def test_a_car_holds_the_path_and_the_whole_dag_below_it(tmp_path):
    async with gateway(tmp_path) as (node, get):
        root = await add(node, *tree())
        status, headers, body = await get(f"/ipfs/{root}/big?format=car")
        assert status == 200
        assert headers["Content-Type"] == "application/vnd.ipld.car; version=1; order=dfs; dups=n"
        assert headers["Etag"].startswith(f'W/"{root}.car.')
        car = await read_car(pieces(body))
        blocks = [block async for batch in car.batches for block in batch]
        assert car.roots == (blocks[1].cid,)  # the end of the path
        assert blocks[0].cid == root
        assert b"".join(block.data for block in blocks[2:]) == BIG
        _, _, body = await get(f"/ipfs/{root}/big?format=car&dag-scope=block")
        scoped = await read_car(pieces(body))
        assert [block.cid async for batch in scoped.batches for block in batch] == [b.cid for b in blocks[:2]]


@pytest.mark.parametrize("query", ["car-version=2", "car-order=x", "car-dups=maybe", "dag-scope=most"])
async def test_unknown_car_parameters_are_refused(tmp_path, query):
    async with gateway(tmp_path) as (node, get):
        root = await add(node, *tree())
        assert (await get(f"/ipfs/{root}?format=car&{query}"))[0] == 400


async def test_a_node_that_is_no_file_is_given_in_its_own_encoding(tmp_path):
    async with gateway(tmp_path) as (node, get):
        block = Block.of(b"\xa1\x61a\x01", DAG_CBOR)
        await node.parts.blocks.put_many([block])
        status, headers, body = await get(f"/ipfs/{block.cid}")
        assert (status, body) == (200, block.data)
        assert headers["Content-Type"] == "application/vnd.ipld.dag-cbor"
        assert (await get(f"/ipfs/{block.cid}/a"))[0] == 501


async def test_what_is_not_there_says_so(tmp_path):
    async with gateway(tmp_path) as (node, get):
        root = await add(node, *tree())
        status, _, body = await get(f"/ipfs/{root}/nothing")
        assert (status, body) == (404, f'no link named "nothing" under {root}\n'.encode())
        status, _, body = await get(f"/ipfs/{MISSING}")
        assert status == 404
        assert b"offline" in body
        status, _, body = await get("/ipfs/QmInvalidCID/a")
        assert status == 400
        assert b'invalid path "/ipfs/QmInvalidCID/a"' in body
        assert (await get(f"/ipfs/{MISSING}", Cache_Control="only-if-cached"))[0] == 412
        assert (await get(f"/ipfs/{root}?format=dag-json"))[0] == 406
        assert (await get("/ipns/example.com"))[0] == 500
        assert (await get("/elsewhere"))[0] == 404
        assert (await get(f"/ipfs/{root}/..%2f..%2fetc"))[0] == 400


async def test_methods_and_cors(tmp_path):
    async with gateway(tmp_path) as (node, get):
        root = await add(node, *tree())
        status, headers, _ = await get(f"/ipfs/{root}", "OPTIONS")
        assert (status, headers["Allow"]) == (200, "GET, HEAD, OPTIONS")
        assert headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"
        for method in ("POST", "PUT", "DELETE"):
            status, headers, _ = await get(f"/ipfs/{root}", method)
            assert (status, headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_a_service_worker_cannot_take_a_content_root(tmp_path):
    async with gateway(tmp_path) as (_, get):
        assert (await get(f"/ipfs/{MISSING}", Service_Worker="script"))[0] == 400


async def test_a_file_with_a_missing_block_breaks_the_connection_instead_of_ending_short(tmp_path):
    async with gateway(tmp_path) as (node, _):
        root = await add(node, FileEntry("f", pieces(BIG)))
        await node.parts.store.delete_many([Block.of(BIG[-262144:]).cid])
        listener = node.faces.gateway
        reader, writer = await asyncio.open_connection(listener.host, listener.port)
        writer.write(f"GET /ipfs/{root}?filename=f.bin HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert f"Content-Length: {len(BIG)}".encode() in head
        got = b""
        try:
            while piece := await reader.read(1 << 16):
                got += piece
        except ConnectionResetError:
            pass
        assert len(got) < len(BIG)
        writer.close()


@pytest.mark.parametrize("size", [3_000, 200_000])
async def test_the_type_is_told_by_the_first_bytes_however_they_are_cut(tmp_path, size):
    page = b" " * 150 + b"<html>" + b"x" * size
    async with open_gateway(tmp_path) as gateway:
        root = await gateway.add({"page": page}, chunker="size-100")
        for asked in ({}, {"Range": "bytes=0-1"}, {"Range": "bytes=0-"}):
            assert (await gateway.get(f"/ipfs/{root}", **asked)).headers["Content-Type"] == "text/html"
        assert (await gateway.head(f"/ipfs/{root}")).headers["Content-Type"] == "text/html"
        assert (await gateway.get(f"/ipfs/{root}")).body == page
        later = await gateway.get(f"/ipfs/{root}", Range="bytes=200-")
        assert later.headers["Content-Type"] == "application/octet-stream"
