"""Protobuf's wire format, as far as Bitswap, IPNS records and libp2p's keys need it (protobuf.dev, encoding).

dag-pb and UnixFS data have readers of their own (`blockstore/ipld/dag_pb.py`, `blockstore/unixfs/`), which
are faster and hold the bytes to one canonical form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from blockstore.common import varint

Value = int | bytes

_NOTHING = memoryview(b"")
_FIXED = {1: 8, 5: 4}  # wire type → bytes of the value
_MAX_UNKNOWN = 1024


# Numbers of written fields are below 16, so that their tag is one byte.


class BadProtobuf(ValueError):
    """Bytes that are no such message; each user turns it into an error of its own."""


def varint_field(number: int, value: int) -> bytes:
    """An integer field; nothing for zero, which is the default. Negative ones are 64-bit two's complement."""
    if not value:
        return b""
    return bytes((number << 3,)) + varint.encode(value & 0xFFFF_FFFF_FFFF_FFFF)


def bytes_field(number: int, value: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + varint.encode(len(value)) + value


def field(number: int, value: Value) -> bytes:
    """A field with that value, zero too."""
    if isinstance(value, int):
        return bytes((number << 3,)) + varint.encode(value)
    return bytes_field(number, value)


def values(data: bytes) -> Iterator[tuple[int, Value]]:
    """(number, value) of each integer and each length-delimited field, in order; fixed ones are skipped.

    Raises BadProtobuf.
    """
    view, position = memoryview(data), 0
    while position < len(view):
        tag, position = _varint(view, position)
        number, kind = tag >> 3, tag & 7
        integer, span, position = _value(view, position, kind)
        if not number:
            raise BadProtobuf("a field has no number")
        if kind not in _FIXED:
            yield number, bytes(span) if kind else integer


def int32(value: int) -> int:
    """The int32 that a decoded varint stands for."""
    value &= 0xFFFF_FFFF
    return value - (1 << 32) if value >> 31 else value


def fields(
    data: memoryview, known: Mapping[int, int], max_count: int = 64
) -> Iterator[tuple[int, int, memoryview]]:
    """Each known field as (number, integer value, bytes value), in order; unknown ones are skipped.

    `known` maps numbers to their wire type. Raises BadProtobuf for bytes that do not parse, a known field of
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
            raise BadProtobuf(f"field {number} is repeated too often, or has no number")
        if expected is None:
            continue
        if expected != kind:
            raise BadProtobuf(f"field {number} has wire type {kind} instead of {expected}")
        yield number, value, span


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    byte = data[position] if position < len(data) else 0x80
    if byte < 0x80:
        return byte, position + 1
    try:
        return varint.decode(data, position)
    except ValueError as error:
        raise BadProtobuf(str(error)) from None


def _value(data: memoryview, position: int, kind: int) -> tuple[int, memoryview, int]:
    if kind == 0:
        value, position = _varint(data, position)
        return value, _NOTHING, position
    if kind == 2:
        length, position = _varint(data, position)
    elif kind in _FIXED:
        length = _FIXED[kind]
    else:
        raise BadProtobuf(f"wire type {kind} is not used in protobuf 3")
    if position + length > len(data):
        raise BadProtobuf(f"a field of {length} bytes is longer than the message")
    return 0, data[position : position + length], position + length
