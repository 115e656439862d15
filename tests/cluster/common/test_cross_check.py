"""What members sign is read by two readers: both agree, or it is refused, and nothing stalls them."""

from __future__ import annotations

import time

import cbrrr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.common import cross_check, wire
from cluster.errors import BadUpdate

LIMIT = 8 * 1024

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 64), (1 << 64) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.binary(max_size=20)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(value=st.dictionaries(st.text(max_size=8), scalars | st.lists(scalars, max_size=3), max_size=8))
def test_what_members_write_is_read_alike(value: dict[str, wire.Wire]) -> None:
    data = wire.encode(value)
    assert cross_check.decode(data, LIMIT) == wire.decode(data, LIMIT) == value


@given(data=st.binary(max_size=60))
def test_any_bytes_are_read_alike_or_are_a_bad_update(data: bytes) -> None:
    try:
        value = cross_check.decode(data, LIMIT)
    except BadUpdate:
        return
    assert wire.encode(value if isinstance(value, list) else {"": value})[-len(data) :] == data


@given(value=values, position=st.integers(0, 200), bit=st.integers(0, 7))
def test_one_bit_that_is_turned_is_read_alike_or_is_a_bad_update(
    value: wire.Wire, position: int, bit: int
) -> None:
    data = bytearray(wire.encode([value]))
    data[position % len(data)] ^= 1 << bit
    try:
        cross_check.decode(bytes(data), LIMIT)
    except BadUpdate:
        return


@pytest.mark.parametrize(
    "data",
    {
        "a length above what memory has": b"\x5b" + b"\xff" * 8,
        "a list of 2^64": b"\x9b" + b"\xff" * 8,
        "a map of 2^64": b"\xbb" + b"\xff" * 8,
        "an empty link": b"\xd8\x2a\x40",
        "a broken link": b"\xd8\x2a\x44\x00\x01\x55\x00",
        "undefined": b"\xa1\x60\xf7",
        "lists that do not end": b"\x81" * 5000,
        "many levels": b"\x81" * 5 + b"\x00",
        "many levels of maps": b"\xa1\x60" * 5 + b"\x00",
        "many values": cbrrr.encode_dag_cbor([0] * 513),
        "an early end 400 levels deep": b"\x81" * 400,
        "more than was allowed": cbrrr.encode_dag_cbor("x" * LIMIT),
    }.values(),
    ids=lambda data: data[:6].hex(),
)
def test_what_stalls_or_breaks_a_reader_is_refused_at_once(data: bytes) -> None:
    began = time.process_time()
    with pytest.raises(BadUpdate):
        cross_check.decode(data, LIMIT)
    assert time.process_time() - began < 0.5


def test_a_difference_of_the_readers_is_refused() -> None:
    """Nothing is known that only one of them takes, so what the first one found is made up."""
    with pytest.raises(BadUpdate, match="no dag-cbor"):
        cross_check.check(b"\x18\x01", 1)
    with pytest.raises(BadUpdate, match="different values"):
        cross_check.check(b"\x01", 2)
