from __future__ import annotations

import json

import dag_cbor
import multiformats
import pytest
from support.dags import leaf, node
from support.importing import file, root_of
from support.sources import RecordingSource, source_of

from blockstore.block import Block
from blockstore.cid import CID, DAG_CBOR, DAG_JSON, DAG_PB, JSON
from blockstore.errors import BadPath, BlockNotFound, NoLink
from blockstore.ipld import dag_pb
from blockstore.ipld.dag_pb import PBLink, PBNode
from blockstore.memory_store import MemoryBlockstore
from blockstore.path import MAX_SEGMENTS, ContentPath, Resolved, resolve
from blockstore.unixfs.importing.options import ImportOptions

CID_TEXT = "bafybeihykld7uyxzogax6vgyvag42y7464eywpf55gxi5qpoisibh3c5wa"
ROOT = CID.parse(CID_TEXT)


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        (f"/ipfs/{CID_TEXT}", ()),
        (f"/ipfs/{CID_TEXT}/", ()),
        (CID_TEXT, ()),
        (f"{CID_TEXT}/a/b", ("a", "b")),
        (f"/ipfs/{CID_TEXT}//a/./b/", ("a", "b")),
        (f"/ipfs/{CID_TEXT}/a/../b", ("b",)),
        (f"/ipfs/{CID_TEXT}/a%20b/c+d", ("a%20b", "c+d")),
        (f"ipfs://{CID_TEXT}/a%20b/%C3%B1?x=1#y", ("a b", "ñ")),
        (f"IPFS://{CID_TEXT}", ()),
        (f"ipfs:{CID_TEXT}/a%2520b", ("a%20b",)),
        (f"Ipfs:{CID_TEXT}?x=/y#z", ()),
        (f"/ipfs/{CID_TEXT}/..a/b..", ("..a", "b..")),
    ],
)
def test_paths_in_every_form_are_read(text: str, segments: tuple[str, ...]) -> None:
    assert ContentPath.parse(text) == ContentPath(ROOT, segments)


def test_a_path_prints_as_it_reads() -> None:
    path = ContentPath(ROOT, ("a b", "ñ"))
    assert str(path) == f"/ipfs/{CID_TEXT}/a b/ñ"
    assert ContentPath.parse(str(path)) == path


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "/ipfs",
        "/ipfs/",
        "/ipfs/QmInvalidCID",
        "/ipns/example.org",
        "ipfs://",
        "ipfs:",
        f"ipfs:/{CID_TEXT}",
        f"ipfs:///{CID_TEXT}",
        f"ipns://{CID_TEXT}",
        f"http://{CID_TEXT}",
        f"ipfs://ipfs/{CID_TEXT}",
        f"ipfs://{CID_TEXT}/a%00b",
        f"/ipfs/{CID_TEXT}/..",
        f"/ipfs/{CID_TEXT}/a/../../b",
        f"/ipfs/{CID_TEXT}/a\0b",
        f"/ipfs/{CID_TEXT}" + "/a" * (MAX_SEGMENTS + 1),
        f"/ipfs/{CID_TEXT}/" + "a" * 20_000,
    ],
)
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(BadPath):
        ContentPath.parse(text)


def test_the_message_quotes_the_path_as_it_came() -> None:
    with pytest.raises(BadPath, match='invalid path "/ipfs/QmInvalidCID"'):
        ContentPath.parse("/ipfs/QmInvalidCID")


def link(cid: CID) -> multiformats.CID:
    return multiformats.CID.decode(bytes(cid))


async def files(options: ImportOptions) -> tuple[RecordingSource, CID]:
    store = MemoryBlockstore()
    names = [f"n{number}" for number in range(300)]
    entries = [file(f"top/{name}", name.encode()) for name in names] + [file("top/sub/dir/f", b"deep")]
    return RecordingSource(store), CID.parse(await root_of(entries, options, store))


async def test_a_path_through_directories_tells_every_root_on_the_way() -> None:
    source, top = await files(ImportOptions())
    sub = (await resolve(source, ContentPath(top, ("sub",)))).cid
    directory = (await resolve(source, ContentPath(top, ("sub", "dir")))).cid
    source.asked.clear()
    found = await resolve(source, ContentPath(top, ("sub", "dir", "f")))
    assert found.roots == (top, sub, directory, found.cid)
    assert found.walked == (top, sub, directory) == tuple(source.asked)
    assert found.remainder == ()


async def test_shards_on_the_way_are_walked_but_are_no_roots() -> None:
    source, top = await files(ImportOptions(hamt_threshold=1, hamt_fanout=8))
    source.asked.clear()
    found = await resolve(source, ContentPath(top, ("n77",)))
    assert found.roots == (top, found.cid)
    assert len(found.walked) > 2
    assert list(found.walked) == source.asked
    assert (await source.get(found.cid)).data.count(b"n77") == 1


async def test_a_root_alone_needs_no_block() -> None:
    source = await source_of()
    assert await resolve(source, ContentPath(ROOT)) == Resolved(ROOT, (ROOT,))


async def test_links_of_plain_dag_pb_are_followed_by_name() -> None:
    root = Block.of(dag_pb.encode(PBNode((PBLink(leaf(1).cid, "x", 1),), b"\xff\xff plain")), DAG_PB)
    source = await source_of(root)
    assert (await resolve(source, ContentPath(root.cid, ("x",)))).cid == leaf(1).cid


@pytest.mark.parametrize("codec", [DAG_CBOR, DAG_JSON])
async def test_fields_and_indexes_are_followed_to_links_and_into_values(codec: int) -> None:
    inner_value: dag_cbor.IPLDKind = {"field": {"list": [1, 2, {"end": "here"}]}}
    inner = Block.of(dag_cbor.encode(inner_value), DAG_CBOR)
    if codec == DAG_CBOR:
        root = Block.of(dag_cbor.encode({"a": [None, {"link": link(inner.cid)}]}), DAG_CBOR)
    else:
        root = Block.of(json.dumps({"a": [None, {"link": {"/": str(inner.cid)}}]}).encode(), DAG_JSON)
    source = await source_of(root, inner)
    found = await resolve(source, ContentPath(root.cid, ("a", "1", "link")))
    assert (found.cid, found.remainder) == (inner.cid, ())
    assert found.roots == (root.cid, root.cid, root.cid, inner.cid)
    assert found.walked == (root.cid,)
    found = await resolve(source, ContentPath(root.cid, ("a", "1", "link", "field", "list", "2", "end")))
    assert (found.cid, found.remainder) == (inner.cid, ("field", "list", "2", "end"))
    assert found.walked == (root.cid, inner.cid)


@pytest.mark.parametrize("segment", ["b", "2", "-1", "01x", "", "9" * 30, "²"])
async def test_a_segment_that_leads_nowhere_is_named(segment: str) -> None:
    root = Block.of(dag_cbor.encode([1, {"b": 1}]), DAG_CBOR)
    with pytest.raises(NoLink) as raised:
        await resolve(await source_of(root), ContentPath(root.cid, (segment,)))
    assert raised.value.name == segment
    assert raised.value.cid == root.cid


@pytest.mark.parametrize("block", [leaf(1), node([leaf(1).cid]), Block.of(b'{"a":1}', JSON)])
async def test_nothing_lies_below_a_file_or_a_block_without_fields(block: Block) -> None:
    with pytest.raises(NoLink):
        await resolve(await source_of(block), ContentPath(block.cid, ("a",)))


async def test_a_missing_block_on_the_way_is_named() -> None:
    source, top = await files(ImportOptions())
    sub = (await resolve(source, ContentPath(top, ("sub",)))).cid
    await source.store.delete_many([sub])
    with pytest.raises(BlockNotFound) as raised:
        await resolve(source, ContentPath(top, ("sub", "dir")))
    assert raised.value.cid == sub


async def test_a_value_of_any_depth_can_be_walked() -> None:
    root = Block.of(b"\x81" * 5000 + b"\xf6", DAG_CBOR)
    segments = ("0",) * MAX_SEGMENTS
    assert (await resolve(await source_of(root), ContentPath(root.cid, segments))).remainder == segments
