"""Protobuf's wire format, read field by field; any bytes are fields or one error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockstore.common import varint
from blockstore.common.protobuf import (
    BadProtobuf,
    bytes_field,
    field,
    fields,
    int32,
    values,
    varint_field,
)


@given(st.lists(st.tuples(st.integers(1, 15), st.integers(0, 2**64 - 1) | st.binary(max_size=300))))
def test_what_is_written_is_read_in_order(written: list[tuple[int, int | bytes]]) -> None:
    data = b"".join(field(number, value) for number, value in written)
    assert list(values(data)) == written


@given(st.binary(max_size=60))
def test_any_bytes_are_fields_or_one_error(data: bytes) -> None:
    for read in (lambda: list(values(data)), lambda: list(fields(memoryview(data), {1: 2, 2: 0}))):
        try:
            read()
        except BadProtobuf:
            continue


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00",  # no number
        b"\x0a\x02x",  # longer than the message
        b"\x0b",  # a group
        b"\x09\x00",  # eight fixed bytes, of which one came
        b"\x08" + b"\xff" * 11,  # no 64-bit integer
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(BadProtobuf):
        list(values(data))
    with pytest.raises(BadProtobuf):
        list(fields(memoryview(data), {}))


def test_fixed_fields_are_skipped_and_zero_is_the_default() -> None:
    fixed = b"\x09" + bytes(8) + b"\x15" + bytes(4)
    assert list(values(fixed + field(1, 0))) == [(1, 0)]
    assert varint_field(1, 0) == b""
    assert int32(varint.decode(varint_field(1, -5), 1)[0]) == -5


def test_a_known_field_has_its_type_and_is_not_repeated_for_ever() -> None:
    with pytest.raises(BadProtobuf, match="wire type 0 instead of 2"):
        list(fields(memoryview(varint_field(1, 7)), {1: 2}))
    with pytest.raises(BadProtobuf, match="too often"):
        list(fields(memoryview(bytes_field(1, b"") * 4), {1: 2}, max_count=3))
