from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockstore.block import Block
from blockstore.cid import CID, DAG_CBOR, DAG_PB, RAW
from blockstore.errors import BadBlock
from blockstore.ipld.dag_pb import PBLink, PBNode, decode, each_link, encode, link_cids, totals

LEAF = CID.v1(RAW, b"\x12\x20" + bytes(32))
HASH = b"\x0a\x24" + bytes(LEAF)

cids = st.one_of(
    st.binary(max_size=8).map(lambda seed: CID.v0(b"\x12\x20" + hashlib.sha256(seed).digest())),
    st.tuples(st.sampled_from([RAW, DAG_PB, DAG_CBOR, 0x0129]), st.binary(min_size=32, max_size=32)).map(
        lambda pair: CID.v1(pair[0], b"\x12\x20" + pair[1])
    ),
    st.binary(max_size=128).map(lambda data: CID.identity(RAW, data)),
)
names = st.binary(max_size=200).map(lambda name: name.decode("utf-8", "surrogateescape"))
nodes = st.builds(
    PBNode,
    st.lists(
        st.builds(PBLink, cids, st.none() | names, st.none() | st.integers(0, 2**64 - 1)), max_size=20
    ).map(tuple),
    st.none() | st.binary(max_size=300),
)


@given(nodes)
def test_a_node_reads_back_as_it_was_written(node: PBNode) -> None:
    wire = encode(node)
    assert decode(wire) == node
    assert link_cids(wire) == [link.cid for link in node.links]


def test_known_nodes_have_known_cids() -> None:
    directory = encode(PBNode((), b"\x08\x01"))
    assert str(Block.of(directory, DAG_PB, version=0).cid) == "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
    hello = encode(PBNode((), b"\x08\x02\x12\x0bhello world\x18\x0b"))
    assert str(Block.of(hello, DAG_PB, version=0).cid) == "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD"


def test_links_are_written_before_data_and_in_the_order_given() -> None:
    wire = encode(PBNode((PBLink(LEAF, "b", 1), PBLink(LEAF, "", 300)), b"x"))
    first = HASH + b"\x12\x01b\x18\x01"
    second = HASH + b"\x12\x00\x18\xac\x02"
    assert (
        wire == b"\x12" + bytes([len(first)]) + first + b"\x12" + bytes([len(second)]) + second + b"\x0a\x01x"
    )


def test_absent_and_empty_fields_are_told_apart() -> None:
    assert decode(b"") == PBNode((), None)
    assert decode(b"\x0a\x00") == PBNode((), b"")
    assert decode(b"\x12\x26" + HASH).links == (PBLink(LEAF, None, None),)


def test_data_before_links_is_read_as_old_writers_wrote_it() -> None:
    link = b"\x12\x26" + HASH
    assert decode(b"\x0a\x01x" + link + link) == PBNode((PBLink(LEAF, None, None),) * 2, b"x")


@pytest.mark.parametrize(
    "wire",
    [
        b"\x0a\x02x",  # truncated data
        b"\x0a",  # no length
        b"\x12\x26" + HASH[:-1],  # truncated link
        b"\x12\x00",  # link without a hash
        b"\x12\x02\x0a\x00",  # empty hash
        b"\x12\x04\x0a\x02\x01\x55",  # truncated CID
        b"\x12\x05\x0a\x03\x00\x01\x02",  # unknown CID version
        b"\x12\x02\x18\x01",  # size only
        b"\x12\x29\x12\x01a" + HASH,  # name before hash
        b"\x12\x2b" + HASH + b"\x18\x01\x12\x01a",  # size before name
        b"\x12\x4c" + HASH + HASH,  # hash twice
        b"\x12\x2c" + HASH + b"\x12\x01a\x12\x01b",  # name twice
        b"\x12\x28" + HASH + b"\x20\x01",  # unknown field of a link
        b"\x12\x29" + HASH + b"\x12\x05a",  # name longer than the link
        b"\x0a\x01x\x0a\x01y",  # data twice
        b"\x12\x26" + HASH + b"\x0a\x01x\x12\x26" + HASH,  # data between links
        b"\x1a\x01x",  # unknown field
        b"\x08\x01",  # data as a number
        b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # length beyond 64 bits
    ],
)
def test_what_no_writer_writes_is_refused(wire: bytes) -> None:
    with pytest.raises(BadBlock):
        decode(wire)
    with pytest.raises(BadBlock):
        link_cids(wire)


@given(nodes)
def test_totals_and_single_links_are_those_of_the_decoded_node(node: PBNode) -> None:
    data = encode(node)
    assert totals(data) == (node.data, len(node.links), sum(link.tsize or 0 for link in node.links))
    assert tuple(each_link(data)) == node.links
