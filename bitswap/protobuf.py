"""The little of protobuf's wire format that Bitswap needs (protobuf.dev, encoding)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bitswap.errors import BadMessage
from blockstore.common import varint

Fields = dict[int, memoryview]

_NOTHING = memoryview(b"")
_FIXED = {1: 8, 5: 4}  # wire type → bytes of the value
_MAX_UNKNOWN = 1024


def varint_field(number: int, value: int) -> bytes:
    """An integer field; nothing for zero, which is the default. Negative ones are 64-bit two's complement."""
    if not value:
        return b""
    return bytes((number << 3,)) + varint.encode(value & 0xFFFF_FFFF_FFFF_FFFF)


def bytes_field(number: int, value: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + varint.encode(len(value)) + value


def int32(value: int) -> int:
    """The int32 that a decoded varint stands for."""
    value &= 0xFFFF_FFFF
    return value - (1 << 32) if value >> 31 else value


def fields(
    data: memoryview, known: Mapping[int, int], max_count: int = 64
) -> Iterator[tuple[int, int, memoryview]]:
    """Each known field as (number, integer value, bytes value), in order; unknown ones are skipped.

    `known` maps numbers to their wire type. Raises BadMessage for bytes that do not parse, a known field of
    another wire type, and more than `max_count` occurrences of one field.
    """
    position, end = 0, len(data)
    seen: dict[int, int] = {}
    while position < end:
        tag, position = _varint(data, position)
        number, kind = tag >> 3, tag & 7
        value, span, position = _value(data, position, kind)
        expected = known.get(number)
        slot = number if expected is not None else 0
        seen[slot] = count = seen.get(slot, 0) + 1
        if count > (max_count if slot else _MAX_UNKNOWN) or not number:
            raise BadMessage(f"field {number} is repeated too often, or has no number")
        if expected is None:
            continue
        if expected != kind:
            raise BadMessage(f"field {number} has wire type {kind} instead of {expected}")
        yield number, value, span


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    byte = data[position] if position < len(data) else 0x80
    if byte < 0x80:
        return byte, position + 1
    try:
        return varint.decode(data, position)
    except ValueError as error:
        raise BadMessage(str(error)) from None


def _value(data: memoryview, position: int, kind: int) -> tuple[int, memoryview, int]:
    if kind == 0:
        value, position = _varint(data, position)
        return value, _NOTHING, position
    if kind == 2:
        length, position = _varint(data, position)
    elif kind in _FIXED:
        length = _FIXED[kind]
    else:
        raise BadMessage(f"wire type {kind} is not used in protobuf 3")
    if position + length > len(data):
        raise BadMessage(f"a field of {length} bytes is longer than the message")
    return 0, data[position : position + length], position + length
