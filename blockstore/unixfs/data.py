"""The UnixFS message inside a dag-pb node's Data (specs: UNIXFS, section "Data Format").

Field order and presence are the ones that give Kubo's CIDs; reading accepts any order and packed block sizes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from blockstore.common import varint
from blockstore.errors import BadBlock

MURMUR3_X64_64 = 0x22

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_UINT64 = 1 << 64


class NodeType(IntEnum):
    """What a node is, by its number on the wire."""

    RAW = 0
    DIRECTORY = 1
    FILE = 2
    METADATA = 3
    SYMLINK = 4
    HAMT = 5


@dataclass(frozen=True, slots=True)
class UnixFSData:
    """One message; None means that the field is absent, which is not the same as zero or empty.

    `mode` keeps the twelve permission bits and whatever else a writer put there; `mtime` is seconds since
    1970, possibly negative, and nanoseconds.
    """

    type: NodeType
    data: bytes | None = None
    filesize: int | None = None
    blocksizes: tuple[int, ...] = ()
    hash_type: int | None = None
    fanout: int | None = None
    mode: int | None = None
    mtime: tuple[int, int] | None = None

    def encode(self) -> bytes:
        """The canonical bytes."""
        out = [b"\x08", varint.encode(self.type)]
        if self.data is not None:
            out += (b"\x12", varint.encode(len(self.data)), self.data)
        if self.filesize is not None:
            out += (b"\x18", varint.encode(self.filesize))
        for size in self.blocksizes:
            out += (b"\x20", varint.encode(size))
        for tag, value in ((b"\x28", self.hash_type), (b"\x30", self.fanout), (b"\x38", self.mode)):
            if value is not None:
                out += (tag, varint.encode(value))
        if self.mtime is not None:
            stamp = _encode_mtime(*self.mtime)
            out += (b"\x42", varint.encode(len(stamp)), stamp)
        return b"".join(out)

    @classmethod
    def decode(cls, data: bytes) -> UnixFSData:
        """Read a message; unknown fields are passed over, a repeated one counts last. Raises BadBlock."""
        try:
            return _decode(data)
        except (ValueError, IndexError, struct.error) as error:
            raise BadBlock(f"invalid UnixFS data: {error}") from None


def _encode_mtime(seconds: int, nanos: int) -> bytes:
    stamp = b"\x08" + varint.encode(seconds % _UINT64)
    return stamp + b"\x15" + struct.pack("<I", nanos) if nanos else stamp


def _decode(data: bytes) -> UnixFSData:
    numbers: dict[int, int] = {}
    blocksizes: list[int] = []
    body: bytes | None = None
    mtime: tuple[int, int] | None = None
    for number, value in _fields(data):
        match number, value:
            case 2, bytes():
                body = value
            case 4, int():
                blocksizes.append(value)
            case 4, bytes():
                blocksizes += _packed(value)
            case 8, bytes():
                mtime = _decode_mtime(value)
            case ((1 | 3 | 5 | 6 | 7), int()):
                numbers[number] = value
            case ((1 | 2 | 3 | 5 | 6 | 7 | 8), _):
                raise ValueError(f"field {number} has the wrong wire type")
    if 1 not in numbers:
        raise ValueError("the type is missing")
    kind = NodeType(numbers[1])
    return UnixFSData(
        kind, body, numbers.get(3), tuple(blocksizes), numbers.get(5), numbers.get(6), numbers.get(7), mtime
    )


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field number and value of each protobuf field in turn."""
    position = 0
    while position < len(data):
        tag, position = varint.decode(data, position)
        kind = tag & 7
        if kind == _VARINT:
            value, position = varint.decode(data, position)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            length, position = varint.decode(data, position)
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {kind} is unknown")
        if position + length > len(data):
            raise ValueError("the bytes end inside a field")
        yield tag >> 3, data[position : position + length]
        position += length


def _packed(data: bytes) -> Iterator[int]:
    position = 0
    while position < len(data):
        value, position = varint.decode(data, position)
        yield value


def _decode_mtime(data: bytes) -> tuple[int, int]:
    seconds: int | None = None
    nanos = 0
    for number, value in _fields(data):
        if number == 1 and isinstance(value, int):
            seconds = value - _UINT64 if value >> 63 else value
        elif number == 2 and isinstance(value, bytes):
            (nanos,) = struct.unpack("<I", value)
    if seconds is None or nanos > 999_999_999:
        raise ValueError("the modification time has no seconds, or too many nanoseconds")
    return seconds, nanos
