"""Requests to a gateway that holds `support.gateway_content`: likely ones, and any others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from hypothesis import strategies as st

from blockstore.cid import CID, DAG_PB, RAW
from support.gateway_content import DAG, FILE, KNOWN, MANY_ROOT, PLACES, ROOTS, SITE_ROOT
from support.ipns import Key
from support.sites import INLINED, KEY, NAME

ASCII = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)

_CIDS = [
    *map(str, ROOTS), str(CID.v0(FILE.cid.multihash)), str(SITE_ROOT).upper(), DAG.cid.in_base("k"),
    "bafkqaaa", str(CID.identity(DAG_PB, b"\n\xff")), str(CID(1, RAW, b"\0\x81\x01" + bytes(129))),
    str(CID(1, RAW, b"\x13\x40" + bytes(64))), "QmInvalidCID", "", "..", "z" * 3000,
]  # fmt: skip
_NAMES = [
    str(KEY.name), KEY.name.peer_id, str(Key(9).name), NAME, INLINED, "a.example.org", "x", "-.-",
    "127.0.0.1",
]  # fmt: skip
_SEGMENTS = [
    "cbor",
    "file",
    "gap",
    "json",
    "pb",
    "a",
    "b",
    "list",
    "0",
    "1",
    "99999999999999999999",
    "-1",
    "7",
    "39",
    "index.html",
    "sub",
    "old",
    "r",
    "e",
    "loop",
    "out",
    "_redirects",
    ".",
    "..",
    "%2e%2e",
    "%2F",
    "%00",
    "%",
    "%zz",
    "%ff",
    "%25",
    "%0d%0a",
    "*",
    ":x",
]
_PREFIXES = [
    "",
    *["/ipfs", "/ipns", "/ipfs/ipfs", "/ipfs/ipns", "//evil.example", "/IPFS", "/api/v0", "/ipld"],
]

HOSTS = [
    *sorted({host for host, _ in PLACES}), "localhost", "localhost:99999", f"{MANY_ROOT}.ipfs.localhost",
    f"{SITE_ROOT}".upper() + ".IPFS.localhost", f"{NAME}.ipns.localhost", "a.example.org", ".ipfs.localhost",
    "x.ipfs.localhost", "..ipns.localhost", "[::1]", "[", "@", "a" * 300, f"{'k' * 70}.ipns.localhost",
]  # fmt: skip

_TYPES = ["raw", "car", "x-tar", "json", "cbor", "dag-json", "dag-cbor", "ipns-record", "html"]
_DATES = ["Sun, 06 Nov 1994 08:49:37 GMT", "Mon, 01 Jan 2035 00:00:00 GMT", "never", "0"]
_TAGS = ["*", f'"{KNOWN.cid}"', f'"{FILE.cid}"', f'W/"{DAG.cid}.x-tar"', '"', "W/", ",,,", '"a", "b"']
_QUERY: Mapping[str, Sequence[str]] = {
    "format": [*_TYPES, "tar", ""],
    "filename": ["a.html", "%D0%B8", "..%2F..", "%00", "%0d%0aX:1", "%22"],
    "download": ["true", "x"],
    "dag-scope": ["block", "entity", "all", "most"],
    "entity-bytes": [
        "0:*",
        "0:0",
        "1000:1999",
        "-5:*",
        "5:-5",
        "9:1",
        "*:1",
        "-99999999999:99999999999",
        "%D9%A3:*",
    ],
    "car-version": ["1", "2"],
    "car-order": ["dfs", "unk", "x"],
    "car-dups": ["y", "n", "x"],
    "uri": ["ipfs://bafkqaaa", "ipns://x", "http://[", "ipfs:", "ipfs://%00", "ipfs:////evil.example"],
    "go-get": ["1"],
    "%": ["%"],
    "=": ["&"],
}
_HEADERS: Mapping[str, Sequence[str]] = {
    "Accept": [
        "*/*", "text/html", "application/vnd.ipld.raw", "application/vnd.ipld.car; order=dfs; dups=y",
        "application/vnd.ipld.car;version=2", "application/vnd.ipld.raw;q=0;a", "application/x-tar",
        "application/json", "application/vnd.ipld.dag-cbor, text/html", "application/vnd.ipfs.ipns-record",
    ],
    "Range": [
        "bytes=0-", "bytes=-1", "bytes=0-0", "bytes=1000-2000", "bytes=5-1", "bytes=", "bytes=0-1,5-6",
        "x=1-2", "bytes=-0", "bytes=99999999999999999999-", "bytes=9999-, 0-1",
    ],
    "If-None-Match": _TAGS,
    "If-Match": _TAGS,
    "If-Range": [*_TAGS, *_DATES],
    "If-Modified-Since": _DATES,
    "If-Unmodified-Since": _DATES,
    "X-Forwarded-Host": HOSTS,
    "X-Forwarded-Proto": ["https", "http", "javascript", ""],
    "X-Forwarded-For": ["1.2.3.4", "x"],
    "Cache-Control": ["only-if-cached", "no-cache", "max-age=x"],
    "Service-Worker": ["script", "x"],
    "Origin": ["https://evil.example", "null"],
    "Accept-Encoding": ["gzip", "identity;q=0"],
    "TE": ["trailers"],
    "Cookie": ["a=b;;=;"],
    "Expect": ["100-continue", "x"],
}  # fmt: skip
_METHODS = ["HEAD", "HEAD", "HEAD", "OPTIONS", "POST", "PUT", "TRACE", "PROPFIND"]


def get(target: str, host: str = "127.0.0.1", **headers: str) -> bytes:
    """A GET that closes its connection; header names have underscores for dashes."""
    given = {"Host": host, "Connection": "close", **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
    return f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode()


def _values(known: Sequence[str]) -> st.SearchStrategy[str]:
    """One of these, or any visible text now and then."""
    return st.integers(0, 7).flatmap(lambda number: st.sampled_from(known) if number else ASCII)


def _some_of(known: Mapping[str, Sequence[str]], most: int) -> st.SearchStrategy[dict[str, str]]:
    names = st.lists(st.sampled_from(sorted(known)), max_size=most, unique=True)
    return names.flatmap(lambda few: st.fixed_dictionaries({name: _values(known[name]) for name in few}))


_anything = ASCII | st.text(max_size=8).map(lambda text: quote(text, errors="replace"))
_segments = st.lists(st.sampled_from(_SEGMENTS) | _anything, max_size=6)
_prefixes = st.sampled_from(
    [*_PREFIXES, *(f"/ipfs/{cid}" for cid in _CIDS), *(f"/ipns/{name}" for name in _NAMES)]
) | ASCII.map("/".__add__)


@st.composite
def _places(draw: st.DrawFn) -> tuple[str, str]:
    """A host, and a path there: of content mostly, of anything otherwise."""
    if draw(st.integers(0, 2)):
        return draw(st.sampled_from(PLACES))
    return draw(st.sampled_from(HOSTS)), "/".join([draw(_prefixes), *draw(_segments)]) or "/"


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """One request that closes its connection, in a tunnel perhaps; its target and headers are ASCII."""
    host, target = draw(_places())
    if query := "&".join(f"{name}={value}" for name, value in draw(_some_of(_QUERY, 3)).items()):
        target = f"{target}?{query}"
    if draw(st.integers(0, 15)) == 0:
        target = f"http://{host}{target}"
    method = "GET" if draw(st.integers(0, 3)) else draw(st.sampled_from(_METHODS))
    body = draw(st.sampled_from([b""] * 7 + [b"abc"]))
    length = {"Content-Length": str(len(body))} if body else {}
    headers = {"Host": host, **draw(_some_of(_HEADERS, 4)), **length, "Connection": "close"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    tunnel = b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n" if draw(st.integers(0, 15)) == 0 else b""
    head = f"{method} {target} HTTP/1.{draw(st.sampled_from('1110'))}\r\n{lines}\r\n"
    return tunnel + head.encode() + body
