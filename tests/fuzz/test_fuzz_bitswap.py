"""Invariant: any bytes decode to a message that encodes and decodes to itself, or raise BadMessage."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from support.bitswap_messages import messages

from bitswap.errors import BadMessage
from bitswap.message import Message
from bitswap.message_codec import decode, encode
from bitswap.received import identify


def holds(wire: bytes) -> None:
    try:
        message = decode(wire)
    except BadMessage:
        return
    assert decode(encode(message)) == message
    assert len(identify(message.payloads)) <= len(message.payloads)


@given(st.binary(max_size=512))
@settings(max_examples=200)
def test_any_bytes(wire: bytes) -> None:
    holds(wire)


@given(messages, st.data())
@settings(max_examples=200)
def test_a_message_with_one_byte_changed_cut_or_added(message: Message, data: st.DataObject) -> None:
    wire = encode(message)
    place = data.draw(st.integers(0, max(0, len(wire) - 1)))
    cut = data.draw(st.integers(0, 2))
    holds(wire[:place] + data.draw(st.binary(max_size=2)) + wire[place + cut :])


@given(st.lists(st.tuples(st.integers(0, 31), st.integers(0, 7), st.binary(max_size=40)), max_size=12))
@settings(max_examples=200)
def test_fields_of_any_number_and_wire_type(parts: list[tuple[int, int, bytes]]) -> None:
    holds(b"".join(bytes((number << 3 & 0x7F | kind, len(value))) + value for number, kind, value in parts))
