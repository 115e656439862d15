"""Some of everything that a gateway serves, good and broken, with the hosts and paths that lead to it."""

from __future__ import annotations

import cbrrr

from blockstore.block import Block
from blockstore.cid import CBOR, CID, DAG_CBOR, DAG_JSON, DAG_PB, JSON, RAW
from blockstore.ipld import dag_pb
from blockstore.ipld.dag_pb import PBLink, PBNode
from blockstore.unixfs.importing.options import ImportFlags
from support.dags import leaves
from support.gateway import Gateway, directory, file_of
from support.sites import INLINED, KEY, NAME, STATIC, publish

KNOWN = Block.of(b"the file that is always served")
LEAVES = leaves(3, size=1000)
FILE = file_of(LEAVES)
GAP = file_of([LEAVES[0], Block.of(b"x" * 1000), LEAVES[2]])
LONG_LEAVES = leaves(4, start=9, size=40_000)
LONG_GAP = file_of([*LONG_LEAVES, Block.of(b"missing")])
JSON_NODE = Block.of(b'{"a":{"b":{"/":"%s"}},"list":[1,[2]]}' % str(FILE.cid).encode(), DAG_JSON)
_FIELDS: cbrrr.DagCborTypes = {"a": cbrrr.CID(bytes(FILE.cid)), "b": [b"", None]}
CBOR_NODE = Block.of(bytes(cbrrr.encode_dag_cbor(_FIELDS)), DAG_CBOR)
PLAIN = (Block.of(b"{}", JSON), Block.of(b"\xa0", CBOR), Block.of(b"odd", 0x99))
PLAIN_PB = Block.of(dag_pb.encode(PBNode((PBLink(FILE.cid, "a", 1),), b"any")), DAG_PB)
BROKEN = tuple(Block.of(b, codec) for codec in (DAG_PB, DAG_CBOR, DAG_JSON) for b in (b"\xff", b"\x0a\x05"))
LIAR = file_of([Block.of(b"a"), FILE])  # says that the second part is as long as its block
DAG = directory(
    {"cbor": CBOR_NODE.cid, "file": FILE.cid, "gap": GAP.cid, "json": JSON_NODE.cid, "liar": LIAR.cid,
     "pb": PLAIN_PB.cid, "up/../../x": KNOWN.cid}
)  # fmt: skip
BLOCKS = (
    KNOWN, *LEAVES, FILE, GAP, *LONG_LEAVES, LONG_GAP, JSON_NODE, CBOR_NODE, *PLAIN, PLAIN_PB, *BROKEN, LIAR,
    DAG,
)  # fmt: skip

RULES = b"/old /new\n/r/* /:splat 200\n/e/* /e.html 404\n/loop /loop 200\n/out https://example.org/:x 302\n"
SITE = {"d/_redirects": RULES, "d/index.html": b"<p>", "d/e.html": b"<p>none", "d/sub/index.html/x": b"x"}
SITE_ROOT = CID.parse("bafybeib7bgyuwi65xjt45nkwsikzlmoiexde2f4lasl6khq7ilpbiu2wfe")
MANY = {f"many/{number}": b"%d" % number for number in range(40)}
MANY_ROOT = CID.parse("bafybeibynl34zkkahxq74ifczfnxdkdeanncnhtwrasb7xxlscr4darsuq")  # a HAMT

STATIC_NAMES = f"{STATIC},a.example.org:/ipns/b.example.org,b.example.org:/ipns/a.example.org"
"""For IPFS_NS_MAP: a site, and two names that lead to each other."""

ROOTS = [block.cid for block in BLOCKS] + [SITE_ROOT, MANY_ROOT, CID.identity(RAW, b"inline")]
_HERE = "127.0.0.1:8080"
_IN_DAG = [
    "cbor",
    "cbor/a",
    "cbor/b",
    "cbor/b/1",
    "file",
    "gap",
    "json",
    "json/a/b",
    "json/list/1",
    "liar",
    "pb",
    "pb/a",
    "none",
]
_IN_SITE = [
    "/",
    "/sub",
    "/sub/",
    "/old",
    "/r/e.html",
    "/r/x",
    "/e/x",
    "/loop",
    "/out",
    "/_redirects",
    "/index.html",
    "/none",
]
PLACES = [
    *((_HERE, f"/ipfs/{root}{slash}") for root in ROOTS for slash in ("", "/")),
    *((_HERE, f"/ipfs/{DAG.cid}/{path}") for path in _IN_DAG),
    *((_HERE, f"/ipfs/{MANY_ROOT}/{name}") for name in ("7", "39", "40")),
    *((_HERE, f"/ipns/{name}/{path}") for name in (KEY.name, NAME) for path in ("", "sub", "e.html", "none")),
    *((f"{SITE_ROOT}.ipfs.localhost", path) for path in _IN_SITE),
    *((f"{KEY.name}.ipns.localhost", path) for path in _IN_SITE),
    *((f"{INLINED}.ipns.localhost:80", path) for path in _IN_SITE),
    *((NAME, path) for path in _IN_SITE),
]
"""Hosts and paths that lead to content, or nearly."""


async def fill(gateway: Gateway) -> None:
    """Put all of it there, and publish the site under the key that NAME leads to."""
    await gateway.put(*BLOCKS)
    assert await gateway.add(SITE) == SITE_ROOT
    assert await gateway.add(MANY, ImportFlags(max_directory_links=10)) == MANY_ROOT
    await publish(gateway, SITE_ROOT)
