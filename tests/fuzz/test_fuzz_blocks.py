"""Invariant: any bytes decode to a value that encodes to itself, or raise BadBlock, BadCar or BadPath."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress

import dag_cbor
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.dags import leaf, node
from support.importing import pieces
from support.sources import joined, source_of

from blockstore.block import Block
from blockstore.car.reader import read_car
from blockstore.car.writer import car_stream
from blockstore.cid import DAG_CBOR, DAG_JOSE, DAG_JSON, DAG_PB, GIT_RAW
from blockstore.errors import BadBlock, BadCar, BadPath, BlockNotFound, HashMismatch, NotUnixFS
from blockstore.ipld import codecs, dag_pb
from blockstore.ipld import dag_cbor as dag_cbor_reader
from blockstore.ipld.dag_pb import PBLink, PBNode
from blockstore.ipld.depth_first import depth_first
from blockstore.path import ContentPath
from blockstore.unixfs.data import UnixFSData
from blockstore.unixfs.listing import list_directory
from blockstore.unixfs.reader import describe, read_file
from blockstore.unixfs.tar import tar_stream

NODE = dag_pb.encode(
    PBNode(
        (PBLink(leaf(1).cid, "FFa", 9), PBLink(leaf(2).cid, "", None)), b"\x08\x02\x18\x05\x20\x02\x20\x03"
    )
)
CBOR = dag_cbor.encode({"a": [1, -1, None, "x", b"y", 1.5, {"b": True}]})
GIT = b"tree 64\0" + 2 * (b"100644 name\0" + bytes(range(20)))
COMMIT = b"commit 99\0tree " + b"12" * 20 + b"\nparent " + b"ab" * 20 + b"\nauthor A <a@b> 1 +0000\n\nWhy\n"
JWS = dag_cbor.encode(
    {"payload": bytes(leaf(1).cid), "signatures": [{"protected": b"{}", "signature": b"x"}]}
)
JSON = b'{"a":[1,-1.5,null,"x",{"/":{"bytes":"AQI"}},{"/":"bafkqaaa"}],"b":{"c":true}}'


async def _a_car() -> bytes:
    root = node([leaf(1).cid])
    source = await source_of(root, leaf(1))
    return await joined(car_stream([root.cid], depth_first(source, root.cid)))


CAR = asyncio.run(_a_car())


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """A good input with a few bytes changed, cut out or added; or any bytes."""
    if draw(st.integers(0, 5)) == 0:
        return draw(st.binary(max_size=200))
    for _ in range(draw(st.integers(0, 3))):
        place, cut = draw(st.integers(0, len(good))), draw(st.integers(0, 4))
        good = good[:place] + draw(st.binary(max_size=4)) + good[place + cut :]
    return good


@given(damaged(NODE))
@settings(max_examples=400)
def test_dag_pb(wire: bytes) -> None:
    try:
        value = dag_pb.decode(wire)
    except BadBlock:
        return
    assert dag_pb.decode(dag_pb.encode(value)) == value
    assert dag_pb.link_cids(wire) == [link.cid for link in value.links]
    assert dag_pb.node_data(wire) == value.data


@given(
    damaged(
        b"\x08\x05\x12\x01\x01\x18\x01\x20\x02\x22\x02\x01\x02\x28\x22\x30\x80\x02\x42\x07\x08\x05\x15\x07\0\0\0"
    )
)
@settings(max_examples=400)
def test_unixfs_data(wire: bytes) -> None:
    try:
        value = UnixFSData.decode(wire)
    except BadBlock:
        return
    assert UnixFSData.decode(value.encode()) == value


@given(damaged(CBOR))
@settings(max_examples=400)
def test_dag_cbor(wire: bytes) -> None:
    block = Block.of(wire, DAG_CBOR)
    try:
        found = codecs.links(block)
    except BadBlock:
        with pytest.raises(BadBlock):
            codecs.decode_strict(block)
        return
    assert dag_cbor_reader.links(wire) == found
    try:
        value = codecs.decode_strict(block)
    except BadBlock:
        return
    assert dag_cbor.encode(dag_cbor.decode(wire)) == wire
    assert dag_cbor_reader.decode(wire) == value


@given(damaged(GIT) | damaged(COMMIT))
@settings(max_examples=200)
def test_git_objects(wire: bytes) -> None:
    with suppress(BadBlock):
        codecs.links(Block.of(wire, GIT_RAW))


@given(damaged(JWS))
@settings(max_examples=200)
def test_dag_jose(wire: bytes) -> None:
    with suppress(BadBlock):
        codecs.links(Block.of(wire, DAG_JOSE))


@given(damaged(JSON) | st.text(alphabet='{}[]"/\\:,1ae', max_size=40).map(str.encode))
@settings(max_examples=400)
def test_dag_json(wire: bytes) -> None:
    try:
        codecs.links(Block.of(wire, DAG_JSON))
    except BadBlock:
        return


@given(damaged(NODE))
@settings(max_examples=200)
async def test_a_dag_pb_block_read_as_file_directory_and_archive(wire: bytes) -> None:
    block = Block.of(wire, DAG_PB)
    source = await source_of(block, leaf(1, 2), leaf(2, 3))
    try:
        describe(block)
        async with aclosing(tar_stream(source, block.cid, "x")) as stream:
            await joined(stream)
    except (BadBlock, NotUnixFS, BlockNotFound, BadPath):
        pass  # the errors it names
    for read in (read_file(source, block.cid), list_directory(source, block.cid)):
        try:
            async with aclosing(read) as items:
                async for _ in items:
                    continue
        except (BadBlock, NotUnixFS, BlockNotFound):
            continue


@given(damaged(CAR), st.integers(1, 100))
@settings(max_examples=300)
async def test_car(wire: bytes, size: int) -> None:
    try:
        car = await read_car(pieces(wire[start : start + size] for start in range(0, len(wire), size)))
        async with aclosing(car.batches):
            blocks = [block async for batch in car.batches for block in batch.blocks]
    except (BadCar, HashMismatch):
        return
    for block in blocks:
        assert Block.verify(block.cid, block.data)


@given(
    st.text(max_size=60)
    | st.text(alphabet="ipfsns/.:%2Fbafkq", max_size=60).map(lambda tail: "/ipfs/bafkqaaa/" + tail)
)
@settings(max_examples=400)
def test_paths(text: str) -> None:
    try:
        path = ContentPath.parse(text)
    except BadPath:
        return
    assert ContentPath.parse(str(path)) == path
    assert not {"", ".", ".."} & set(path.segments)
