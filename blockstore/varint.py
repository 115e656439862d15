"""Unsigned LEB128 integers, as multiformats and protobuf write them (multiformats/unsigned-varint)."""

from __future__ import annotations

_MAX_BYTES = 10


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
    if offset < len(data) and data[offset] < 0x80:  # most there are
        return data[offset], offset + 1
    value = shift = 0
    for position in range(offset, min(offset + _MAX_BYTES, len(data))):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return value, position + 1
        shift += 7
    raise ValueError("varint is truncated or too long")


def decode_shortest(data: bytes | bytearray | memoryview, offset: int = 0) -> tuple[int, int]:
    """As `decode`, but only what multiformats allow: the shortest form, of 63 bits. Raises ValueError."""
    value, end = decode(data, offset)
    if (data[end - 1] == 0 and end - offset > 1) or value >> 63:
        raise ValueError("varint is not in its shortest form, or above 63 bits")
    return value, end
