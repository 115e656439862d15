"""The record of one block in a volume: a head that names it, then its bytes (docs/format.md).

The multihash is the checksum of the bytes; the head has one of its own. So a record can be found, and known
to be whole, without anything else.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

MAGIC = b"\xf1PFrec\r\n"
VERSION = 1
MAX_NAME_BYTES = 255
_START = struct.Struct("<8sBBB")  # magic, version, flags (none yet), bytes of the multihash
_END = struct.Struct("<II")  # bytes of the data, crc32 of all before
_LENGTH = struct.Struct("<I")
FIXED_BYTES = _START.size + _END.size
MAX_HEAD_BYTES = FIXED_BYTES + MAX_NAME_BYTES


@dataclass(frozen=True, slots=True)
class RecordHead:
    """What a record says of itself: the block's multihash, and the bytes of its data."""

    multihash: bytes
    size: int

    @property
    def head_bytes(self) -> int:
        return FIXED_BYTES + len(self.multihash)

    @property
    def bytes(self) -> int:
        """Of the whole record."""
        return self.head_bytes + self.size


def pack_head(multihash: bytes, size: int) -> bytes:
    """The bytes before those of the block."""
    head = _START.pack(MAGIC, VERSION, 0, len(multihash)) + multihash + _LENGTH.pack(size)
    return head + _LENGTH.pack(zlib.crc32(head))


def read_head(data: bytes | memoryview, start: int = 0) -> RecordHead | None:
    """The head that begins there; None where there is none, or a damaged one."""
    if len(data) - start < FIXED_BYTES:
        return None
    magic, version, _, name_bytes = _START.unpack_from(data, start)
    middle = start + _START.size + name_bytes
    if magic != MAGIC or version != VERSION or len(data) < middle + _END.size:
        return None
    size, checksum = _END.unpack_from(data, middle)
    if zlib.crc32(data[start : middle + _LENGTH.size]) != checksum:
        return None
    return RecordHead(bytes(data[start + _START.size : middle]), size)
