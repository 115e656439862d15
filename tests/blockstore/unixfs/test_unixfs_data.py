from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockstore.errors import BadBlock
from blockstore.unixfs.data import MURMUR3_X64_64, NodeType, UnixFSData

uint = st.integers(0, 2**64 - 1)
messages = st.builds(
    UnixFSData,
    st.sampled_from(NodeType),
    st.none() | st.binary(max_size=40),
    st.none() | uint,
    st.lists(uint, max_size=8).map(tuple),
    st.none() | uint,
    st.none() | uint,
    st.none() | uint,
    st.none() | st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 999_999_999)),
)


@given(messages)
def test_a_message_reads_back_as_it_was_written(message: UnixFSData) -> None:
    assert UnixFSData.decode(message.encode()) == message


def test_fields_are_written_in_the_order_that_gives_known_cids() -> None:
    message = UnixFSData(NodeType.HAMT, b"\x01", 1, (2, 300), MURMUR3_X64_64, 256, 0o764, (5, 7))
    assert message.encode().hex(" ", 1) == (
        "08 05 12 01 01 18 01 20 02 20 ac 02 28 22 30 80 02 38 f4 03 42 07 08 05 15 07 00 00 00"
    )


def test_an_empty_file_says_its_size_and_has_no_data() -> None:
    assert UnixFSData(NodeType.FILE, filesize=0).encode() == b"\x08\x02\x18\x00"
    assert UnixFSData(NodeType.DIRECTORY).encode() == b"\x08\x01"


def test_whole_seconds_have_no_nanoseconds_on_the_wire() -> None:
    assert UnixFSData(NodeType.FILE, mtime=(5, 0)).encode() == b"\x08\x02\x42\x02\x08\x05"


def test_packed_block_sizes_are_read() -> None:
    assert UnixFSData.decode(b"\x08\x02\x22\x03\x02\xac\x02").blocksizes == (2, 300)


def test_unknown_fields_are_passed_over() -> None:
    unknown = b"\x4a\x01x\x50\x01\x5d\x00\x00\x00\x00\x61" + bytes(8)
    assert UnixFSData.decode(unknown + b"\x08\x01" + unknown) == UnixFSData(NodeType.DIRECTORY)


@pytest.mark.parametrize(
    "wire",
    [
        b"",  # no type
        b"\x08\x06",  # unknown type
        b"\x0a\x01\x01",  # type as bytes
        b"\x08\x02\x10\x01",  # data as a number
        b"\x08\x02\x1a\x00",  # size as bytes
        b"\x08\x02\x12\x05x",  # truncated
        b"\x08\x02\x22\x01\x80",  # truncated packed size
        b"\x08\x02\x42\x00",  # time without seconds
        b"\x08\x02\x42\x07\x08\x05\x15\xff\xff\xff\xff",  # too many nanoseconds
        b"\x08\x02\x42\x05\x08\x05\x12\x01x",  # nanoseconds of the wrong size
        b"\x08\x02\x13",  # a group
        b"\x08\x02\x15\x00",  # truncated fixed32
    ],
)
def test_garbage_is_refused(wire: bytes) -> None:
    with pytest.raises(BadBlock):
        UnixFSData.decode(wire)
