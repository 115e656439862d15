"""Protobuf messages as numbered fields: the little of it that IPNS and libp2p's keys need."""

from __future__ import annotations

from collections.abc import Iterator

from blockstore.common import varint

_FIXED = {1: 8, 5: 4}  # wire type -> bytes; such fields are passed over
Field = int | bytes


def fields(data: bytes) -> Iterator[tuple[int, Field]]:
    """(number, value) of each varint and each length-delimited field, in order. Raises ValueError."""
    position = 0
    while position < len(data):
        key, position = varint.decode(data, position)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise ValueError("field number 0")
        if kind == 0:
            value, position = varint.decode(data, position)
            yield number, value
        elif kind == 2:
            length, start = varint.decode(data, position)
            position = _within(data, start + length)
            yield number, data[start:position]
        elif kind in _FIXED:
            position = _within(data, position + _FIXED[kind])
        else:
            raise ValueError(f"wire type {kind}")


def encoded(number: int, value: Field) -> bytes:
    """One field."""
    if isinstance(value, int):
        return varint.encode(number << 3) + varint.encode(value)
    return varint.encode(number << 3 | 2) + varint.encode(len(value)) + value


def _within(data: bytes, end: int) -> int:
    if end > len(data):
        raise ValueError("a field is truncated")
    return end
