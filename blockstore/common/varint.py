"""Unsigned LEB128 integers, as multiformats and protobuf write them (multiformats/unsigned-varint)."""

from __future__ import annotations

_LAST_SHIFT = 63  # of the tenth byte


def encode(value: int) -> bytes:
    """The shortest form of a non-negative integer."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode(data: bytes | bytearray | memoryview, offset: int = 0) -> tuple[int, int]:
    """Read one integer at `offset`; returns it and the offset behind it.

    Raises ValueError when the bytes end inside it or it is longer than 64 bits.
    """
    if offset < len(data) and (first := data[offset]) <= 0x7F:  # as nearly all are
        return first, offset + 1
    value = shift = 0
    try:
        while (byte := data[offset]) > 0x7F and shift < _LAST_SHIFT:
            value |= (byte & 0x7F) << shift
            shift += 7
            offset += 1
    except IndexError:
        raise ValueError("varint is truncated") from None
    value |= byte << shift
    if byte > 0x7F or value >> 64:
        raise ValueError("varint is too long for 64 bits")
    return value, offset + 1


def decode_shortest(data: bytes | bytearray | memoryview, offset: int = 0) -> tuple[int, int]:
    """As `decode`, but only what multiformats allow: the shortest form, of 63 bits. Raises ValueError."""
    value, end = decode(data, offset)
    if (data[end - 1] == 0 and end - offset > 1) or value >> 63:
        raise ValueError("varint is not in its shortest form, or above 63 bits")
    return value, end
