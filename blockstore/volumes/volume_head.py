"""The head of a volume file: what it is, which one, and a number of its own that no other file has."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

MAGIC = b"\xf1PFvol\r\n"
VERSION = 1
HEAD_BYTES = 64
_FORM = struct.Struct("<8sII16s")  # magic, version, number, own id
_CHECKSUM = struct.Struct("<I")
_CHECKED = HEAD_BYTES - _CHECKSUM.size


@dataclass(frozen=True, slots=True)
class VolumeHead:
    """`own_id`: 16 random bytes, by which a file that was put in the place of another one shows."""

    number: int
    own_id: bytes

    def pack(self) -> bytes:
        head = _FORM.pack(MAGIC, VERSION, self.number, self.own_id).ljust(_CHECKED, b"\0")
        return head + _CHECKSUM.pack(zlib.crc32(head))


def read_volume_head(data: bytes) -> VolumeHead | None:
    """None where that is not the head of a volume, or a damaged one, or of a later release."""
    if len(data) < HEAD_BYTES:
        return None
    magic, version, number, own_id = _FORM.unpack_from(data)
    (checksum,) = _CHECKSUM.unpack_from(data, _CHECKED)
    if magic != MAGIC or version != VERSION or zlib.crc32(data[:_CHECKED]) != checksum:
        return None
    return VolumeHead(number, own_id)
