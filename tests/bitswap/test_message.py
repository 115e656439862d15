"""The codec against itself, against bytes written by hand from the specification, and at its bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from support.bitswap_messages import messages

from bitswap.errors import BadMessage
from bitswap.message import (
    PROTOCOL_1_0,
    PROTOCOL_1_1,
    Message,
    Payload,
    Presence,
    WantlistEntry,
    WantType,
    prefix_of,
)
from bitswap.message_codec import MAX_ENTRIES, MAX_MESSAGE_BYTES, decode, encode, reading
from bitswap.received import ReceivedBlock, identify
from blockstore.block import Block
from blockstore.cid import CID, DAG_PB
from blockstore.common.protobuf import bytes_field, varint_field

HELLO = Block.of(b"hello")
OLD = Block.of(b"\x0a\x02\x08\x01", DAG_PB, version=0)


@given(messages)
def test_what_is_encoded_is_decoded(message: Message) -> None:
    assert decode(encode(message)) == message


@given(messages)
def test_before_1_2_0_a_message_has_no_presences(message: Message) -> None:
    decoded = decode(encode(message, PROTOCOL_1_1))
    assert (decoded.entries, decoded.payloads) == (message.entries, message.payloads)
    assert not decoded.presences


def test_before_1_1_0_blocks_go_bare_and_are_read_as_cidv0() -> None:
    wire = encode(Message(payloads=(Payload.of(OLD), Payload.of(HELLO))), PROTOCOL_1_0)
    assert wire == b"\x12\x04" + OLD.data + b"\x12\x05hello"
    assert decode(wire).payloads == (
        Payload(prefix_of(OLD.cid), OLD.data),
        Payload(prefix_of(OLD.cid), b"hello"),
    )


def test_a_want_is_written_as_the_specification_says() -> None:
    entry = WantlistEntry(HELLO.cid, WantType.HAVE, priority=-1, cancel=True, send_dont_have=True)
    name = bytes(HELLO.cid)
    body = b"\x0a\x24" + name + b"\x10" + b"\xff" * 9 + b"\x01" + b"\x18\x01\x20\x01\x28\x01"
    inner = b"\x0a" + bytes((len(body),)) + body + b"\x10\x01"
    assert encode(Message((entry,), full=True)) == b"\x0a" + bytes((len(inner),)) + inner


def test_a_block_and_a_presence_are_written_as_the_specification_says() -> None:
    message = Message(payloads=(Payload.of(HELLO),), presences=(Presence(HELLO.cid, False),), pending_bytes=5)
    block = b"\x1a\x0d" + b"\x0a\x04\x01\x55\x12\x20" + b"\x12\x05hello"
    presence = b"\x22\x28" + b"\x0a\x24" + bytes(HELLO.cid) + b"\x10\x01"
    assert encode(message) == block + presence + b"\x28\x05"


def test_unknown_fields_are_skipped_wherever_they_stand() -> None:
    unknown = varint_field(15, 300) + bytes_field(14, b"x") + b"\x69" + bytes(8) + b"\x65" + bytes(4)
    entry = bytes_field(1, unknown + bytes_field(1, bytes(HELLO.cid)))
    wire = (
        unknown + bytes_field(1, unknown + entry) + bytes_field(4, unknown + bytes_field(1, bytes(HELLO.cid)))
    )
    decoded = decode(wire)
    assert decoded.entries == (WantlistEntry(HELLO.cid, priority=0),)
    assert decoded.presences == (Presence(HELLO.cid, True),)


def test_a_wantlist_in_two_pieces_is_one_wantlist() -> None:
    one, two = (encode(Message((WantlistEntry(block.cid),))) for block in (HELLO, OLD))
    assert [entry.cid for entry in decode(one + two).entries] == [HELLO.cid, OLD.cid]


_NAME = bytes_field(1, bytes(HELLO.cid))
_LATE = varint_field(2, -7)
_FLAGS = varint_field(4, 1) + varint_field(5, 1)


@pytest.mark.parametrize(
    "entry",
    [
        _NAME + _LATE + _FLAGS,
        _NAME + _FLAGS + _LATE,
        _LATE + _NAME + _FLAGS,
        _FLAGS + _LATE + _NAME,
        varint_field(2, 3) + _NAME + _FLAGS + varint_field(2, 5) + _LATE,
        _NAME + _LATE + _FLAGS + bytes_field(14, b"x" * 200),
        _NAME + b"\x10\xf9\xff\xff\xff\x0f" + _FLAGS,
        _NAME + _LATE + b"\x20\x81\x00" + varint_field(5, 1),
    ],
)
def test_an_entry_may_be_written_in_any_order_and_form(entry: bytes) -> None:
    decoded = decode(bytes_field(1, bytes_field(1, entry)))
    assert decoded.entries == (WantlistEntry(HELLO.cid, WantType.HAVE, -7, send_dont_have=True),)


def test_reading_in_steps_ends_with_what_is_read_at_once() -> None:
    message = Message((WantlistEntry(HELLO.cid),) * 1000, presences=(Presence(HELLO.cid, True),) * 1000)
    *steps, last = reading(encode(message))
    assert set(steps) == {None}
    assert len(steps) >= 14
    assert last == decode(encode(message)) == message


@pytest.mark.parametrize(
    ("wire", "complaint"),
    [
        (b"\x0a", "varint"),
        (b"\x0a\x05abc", "longer than the message"),
        (b"\x0a" + b"\xff" * 10 + b"\x01", "varint"),
        (b"\x0b", "wire type 3"),
        (b"\x00\x01", "no number"),
        (b"\x08\x01", "wire type 0 instead of 2"),
        (bytes_field(1, bytes_field(1, b"")), "invalid CID"),
        (bytes_field(1, bytes_field(1, _NAME + varint_field(4, 2))), "want type 2"),
        (bytes_field(4, _NAME + varint_field(2, 2)), "presence 2"),
        (bytes_field(4, b""), "invalid CID"),
        (bytes_field(3, bytes_field(1, b"\x02\x55\x12\x20")), "prefix"),
        (bytes_field(3, bytes_field(1, b"\x01\x55\x12\x20\x00")), "prefix"),
        (bytes_field(3, bytes_field(2, b"data")), "prefix"),
        (bytes_field(1, bytes_field(1, b"") * (MAX_ENTRIES + 1)), "CID"),
        (bytes_field(2, b"") * (MAX_ENTRIES + 1), "too often"),
        (varint_field(15, 1) * 2000, "too often"),
        (bytes(MAX_MESSAGE_BYTES + 1), "above"),
    ],
)
def test_what_breaks_the_format_or_its_bounds_is_one_error(wire: bytes, complaint: str) -> None:
    with pytest.raises(BadMessage, match=complaint):
        decode(wire)


@pytest.mark.parametrize("name", ["sha2-256", "sha2-512", "blake3", "blake2b-256", "sha3-256"])
def test_a_block_gets_its_name_back_from_prefix_and_bytes(name: str) -> None:
    block = Block.of(b"some bytes", hash_name=name)
    assert identify([Payload.of(block)]) == [ReceivedBlock(block.cid.multihash, block.data)]


def test_a_truncated_digest_of_20_bytes_is_verified_and_a_shorter_one_is_not() -> None:
    full = Block.of(b"cut", hash_name="sha2-512").cid.digest
    for length, known in ((20, True), (19, False), (65, False)):
        payload = Payload(b"\x01\x55\x13" + bytes((length,)), b"cut")
        expected = [ReceivedBlock(b"\x13" + bytes((length,)) + full[:length], b"cut")] if known else []
        assert identify([payload]) == expected


def test_blocks_under_unknown_or_identity_hashes_have_no_name() -> None:
    inline = CID.identity(0x55, b"abc")
    assert identify([Payload(prefix_of(inline), b"abc"), Payload(b"\x01\x55\x99\x01\x20", b"abc")]) == []


def test_a_message_prints_what_is_in_it() -> None:
    message = Message((WantlistEntry(HELLO.cid),), payloads=(Payload.of(HELLO),), pending_bytes=7)
    assert repr(message) == "<Message 1 wants, 1 blocks of 5 bytes, 0 presences, 7 bytes pending>"
    assert message
    assert not Message(pending_bytes=7)
