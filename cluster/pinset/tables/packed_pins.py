"""Rows of pins that are passed on as they were read, as four pieces, and parted where they are wanted."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from blockstore.common.packed_rows import part_blobs

_HEAD = struct.Struct("<IIIII")


@dataclass(frozen=True, slots=True)
class PackedPins:
    """CIDs and values one behind the other, with their lengths; `last` is the last CID."""

    cids: bytes
    cid_lengths: str
    values: bytes
    value_lengths: str
    last: bytes

    def rows(self) -> list[tuple[bytes, bytes]]:
        """(CID, value) of each pin; the value is one of pin_codec's."""
        cids, values = part_blobs(self.cids, self.cid_lengths), part_blobs(self.values, self.value_lengths)
        return list(zip(cids, values, strict=True))

    def pack(self) -> bytes:
        pieces = (self.cids, self.cid_lengths.encode(), self.values, self.value_lengths.encode(), self.last)
        return _HEAD.pack(*map(len, pieces)) + b"".join(pieces)

    @classmethod
    def unpack(cls, data: bytes) -> PackedPins:
        """What `pack` gave."""
        pieces, position = [], _HEAD.size
        for length in _HEAD.unpack_from(data):
            pieces.append(data[position : position + length])
            position += length
        cids, cid_lengths, values, value_lengths, last = pieces
        return cls(cids, cid_lengths.decode(), values, value_lengths.decode(), last)
