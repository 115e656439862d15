"""The same requests to our gateway and to a real Kubo's, of the same content: the answers agree."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientSession
from support.gateway import Gateway, car_of, open_gateway
from support.gateway_content import (
    BLOCKS,
    BROKEN,
    CBOR_NODE,
    DAG,
    FILE,
    JSON_NODE,
    KNOWN,
    MANY_ROOT,
    PLAIN,
    SITE_ROOT,
    fill,
)
from support.kubo import Kubo
from support.sites import KEY
from yarl import URL

from blockstore.block import Block
from blockstore.car.writer import car_stream
from blockstore.cid import CID, RAW
from blockstore.unixfs.importing.options import ImportFlags

pytestmark = pytest.mark.interop
RECORDED = 784111777
THEN, EARLIER = "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:36 GMT"
ABSENT = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
CAR = "application/vnd.ipld.car"

HEADERS = (
    "Cache-Control", "Content-Disposition", "Content-Range", "Content-Type", "Etag", "Ipfs-Uri",
    "Last-Modified", "Location", "X-Content-Type-Options", "X-Ipfs-Roots",
)  # fmt: skip
# Kubo gives less: where content moved, or is not sent again; Go's pages of redirects have a type.
ONLY_OURS = {301: {"Content-Type", "X-Ipfs-Roots"}, 302: {"Content-Type", "Ipfs-Uri"}}
ONLY_OURS[304] = {"Last-Modified", "X-Ipfs-Roots"}

WITHOUT_NAMES = (
    b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    b'<?xml version="1.0"?>\n<svg></svg>',
    b"<!DOCTYPE html><svg>",
    b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00",
    b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00",
    b"II*\x00" + bytes(9),
    b"\x00\x00\x01\x00\x01\x00",
    b"\xff\xfb\x90\x44" + bytes(30),
    b"\xff\xf1\x50\x80",
    b"\xfd7zXZ\x00\x00\x04",
    b"BZh91AY&SY\x94",
    b"\x28\xb5\x2f\xfd\x04",
    b"Rar!\x1a\x07\x01\x00",
    b"\x89PNG\r\n\x1a\n",
    b'{"a":[1]}',
    b"text",
)
"""Of kinds that both tell apart; in identity CIDs."""

Requests = list[tuple[str, dict[str, str]]]
"""What is put behind a path, and headers."""

OF_ALL: Requests = [
    *((f"?format={name}", {}) for name in ("raw", "car", "ipns-record", "unheard-of")),
    *((f"?format=car&dag-scope={scope}", {}) for scope in ("block", "entity&car-dups=y", "x")),
    *((f"?format=car&{other}", {}) for other in ("car-version=2", "entity-bytes=5:1")),
    ("", {}),
    ("?filename=a.html", {}),
    ("?filename=a.html&download=true", {}),
    ("", {"Accept": "application/vnd.ipld.raw"}),
    ("", {"Accept": f"{CAR}; version=1; order=dfs; dups=y"}),
    ("", {"Accept": f"{CAR}; version=2"}),
    ("", {"Accept": "application/vnd.ipld.bogus"}),
    ("?format=raw", {"Accept": CAR}),
    ("", {"Cache-Control": "only-if-cached"}),
]  # fmt: skip
OF_FILES: Requests = [
    *(("", {"Range": f"bytes={asked}"}) for asked in ("0-3", "4-", "99999-", "5-1", "a", "0-1,3-4")),
    ("?format=raw", {"Range": "bytes=1-2"}),
    ("", {"If-None-Match": "*"}),
    ("", {"If-None-Match": '"x"'}),
    ("", {"If-Match": '"x"'}),
    ("", {"If-Modified-Since": THEN}),
    ("", {"If-Modified-Since": EARLIER}),
    ("", {"If-Unmodified-Since": EARLIER}),
]
OF_OTHERS: Requests = [("", {}), ("", {"Accept": "text/html"})]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str | None]
    body: bytes


async def asked(client: ClientSession, base: str, path: str, headers: dict[str, str]) -> Answer:
    url = URL(base + path, encoded=True)
    async with client.get(url, headers=headers, allow_redirects=False) as answer:
        told = {name: _plain(name, answer.headers.get(name)) for name in HEADERS}
        return Answer(answer.status, told, await answer.read())


def _plain(name: str, text: str | None) -> str | None:
    """Without what each program does in its own way, and may."""
    if text is None or name == "Content-Disposition":
        return text and text.partition("; filename*=")[0]
    text = re.sub(r"(DirIndex|DagIndex)-[^_]*", r"\1", text).replace("; charset=utf-8", "")
    return re.sub(r"\.car\.[a-z0-9]+", ".car", re.sub(r"max-age=(59\d|600)\b", "max-age=600", text))


async def archive(gateway: Gateway, *roots: CID) -> bytes:
    """All of the content in one CAR; what Kubo refuses to import is left out."""

    async def blocks() -> AsyncGenerator[Block]:
        for block in BLOCKS:
            if block not in BROKEN and block not in PLAIN[2:]:
                yield block
        for root in roots:
            cids = (await car_of((await gateway.get(f"/ipfs/{root}?format=car")).body))[1]
            for found in await gateway.node.parts.store.get_many(cids):
                assert found is not None
                yield found

    return b"".join([piece async for piece in car_stream([KNOWN.cid], blocks())])


async def test_both_answer_alike(tmp_path: Path) -> None:
    client = ClientSession(skip_auto_headers=["Accept"])
    async with open_gateway(tmp_path / "ours") as gateway, client:
        await fill(gateway)
        dated = await gateway.add({"d/f": bytes(range(256)) * 20, "d/e/x": b"x"}, ImportFlags(mtime=RECORDED))
        (tmp_path / "all.car").write_bytes(await archive(gateway, SITE_ROOT, MANY_ROOT, dated))
        (tmp_path / "record").write_bytes((await gateway.node.parts.names.record(KEY.name)).record.raw)
        kubo = Kubo(tmp_path / "kubo")
        with kubo.running("--offline"):
            kubo.run("dag", "import", "--pin-roots=false", str(tmp_path / "all.car"))
            kubo.run("routing", "put", "--allow-offline", f"/ipns/{KEY.name}", str(tmp_path / "record"))
            for path, query, headers in everything(dated):
                bases = (gateway.node.faces.gateway.url, kubo.gateway)
                ours, theirs = [await asked(client, base, path + query, headers) for base in bases]
                agree(ours, theirs, f"{path}{query} {headers}")


def everything(dated: CID) -> list[tuple[str, str, dict[str, str]]]:
    """Path, query and headers of every request."""
    site, dag, many = f"/ipfs/{SITE_ROOT}", f"/ipfs/{DAG.cid}", f"/ipfs/{MANY_ROOT}"
    json, cbor, key = f"/ipfs/{JSON_NODE.cid}", f"/ipfs/{CBOR_NODE.cid}", f"/ipns/{KEY.name}"
    files = [
        f"/ipfs/{KNOWN.cid}", f"/ipfs/{FILE.cid}", f"{dag}/file", f"{many}/39", f"{site}/e.html",
        f"{site}/_redirects", f"/ipfs/{dated}/f", json, cbor, f"{cbor}/a", f"{json}/a/b",
    ]  # fmt: skip
    others = [
        f"/ipfs/{ABSENT}", f"{dag}/none", "/ipfs/QmInvalidCID", "/ipfs/", "/ipns/", f"{dag}/%zz", f"{cbor}/b",
        f"{dag}/..%2f..%2fx", f"{key}/none", "/ipfs/?uri=IPFS%3A%2F%2Fbafkqaaa%2Fx", f"/ipfs/ipfs/{DAG.cid}",
        f"/ipns/{KEY.name.peer_id}/x", f"{key}/e.html", "/ipfs/bafkqabtimvwgy3yk", f"{dag}/", f"{dag}/cbor/",
        f"{many}/", f"{dag}", f"{site}/sub/index.html", f"/ipfs/{dated}/e/", f"{json}/list", f"{json}/list/9",
    ]  # fmt: skip
    others += [f"/ipfs/{CID.identity(RAW, data)}" for data in WITHOUT_NAMES]
    others += [f"/ipfs/?uri=ipfs%3A%2F{DAG.cid}", f"/ipfs/?uri=ipfs%3A%2F%2F%2F{DAG.cid}%2Ffile"]
    asked = [(path, OF_ALL + OF_FILES) for path in files] + [(path, OF_OTHERS) for path in others]
    asked += [(path, OF_ALL) for path in (f"{site}/", f"{many}/", f"/ipfs/{dated}")]
    return [(path, query, headers) for path, requests in asked for query, headers in requests]


def agree(ours: Answer, theirs: Answer, what: str) -> None:
    assert ours.status == theirs.status, (what, theirs.body[:200])
    names = {"Ipfs-Uri"} if ours.status >= 400 else {*HEADERS} - ONLY_OURS.get(ours.status, set())
    if "/ipns/" in what:
        names -= {"Last-Modified"}  # Kubo has one for names without a time: now
    if '"DirIndex' in (ours.headers["Etag"] or ""):
        names -= {"Last-Modified"}  # Kubo tells that of files only
    if '"DagIndex' in (ours.headers["Etag"] or ""):
        names -= {"Cache-Control"}  # the specs have none, or the one of listings
    for name in names:
        assert ours.headers[name] == theirs.headers[name], (what, name)
    if ours.status in (200, 206) and ours.headers["Content-Type"] != "text/html":
        assert ours.body == theirs.body, what
