from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiformats import varint as oracle

from blockstore.common import varint

NUMBERS = st.integers(0, 2**64 - 1)


@given(value=st.integers(0, 2**63 - 1))
def test_the_bytes_are_those_of_multiformats(value: int) -> None:
    assert varint.encode(value) == oracle.encode(value)


@given(value=NUMBERS, before=st.binary(max_size=5), behind=st.binary(max_size=5))
def test_a_number_is_read_from_the_middle_of_bytes(value: int, before: bytes, behind: bytes) -> None:
    data = varint.encode(value)
    for view in (bytes, bytearray, memoryview):
        found = varint.decode(view(before + data + behind), len(before))
        assert found == (value, len(before) + len(data))


@given(value=NUMBERS)
def test_truncated_numbers_are_refused_at_every_length(value: int) -> None:
    data = varint.encode(value)
    for end in range(len(data)):
        with pytest.raises(ValueError, match="truncated"):
            varint.decode(data[:end])


@given(data=st.binary(max_size=16), offset=st.integers(0, 20))
def test_any_bytes_are_a_number_or_a_value_error(data: bytes, offset: int) -> None:
    try:
        value, end = varint.decode(data, offset)
    except ValueError:
        return
    assert 0 <= value < 2**64
    assert offset < end <= len(data)


@pytest.mark.parametrize("data", [b"\xff" * 9 + b"\x02", b"\x80" * 10, b"\xff" * 11])
def test_more_than_64_bits_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="too long"):
        varint.decode(data)
