"""The clocks of a document as they are stored beside it: how many items of each client it has."""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from types import MappingProxyType

from blockstore.common import varint

_ITEM = Struct(">QI")
NO_CLOCKS: Mapping[int, int] = MappingProxyType({})
_GARBAGE = b"\0"  # a struct that only says how many items there were (Yjs: GC)
_NOTHING_DELETED = b"\0"


def encode_clocks(clocks: Mapping[int, int]) -> bytes:
    """Twelve bytes a client, in order of client: its id and its clock, which yrs counts in 32 bits."""
    return b"".join(map(_ITEM.pack, *zip(*sorted(clocks.items()), strict=True))) if clocks else b""


def decode_clocks(data: bytes) -> dict[int, int]:
    """Raises struct.error for bytes that encode_clocks did not make."""
    return dict(_ITEM.iter_unpack(data))


def standing_in(clocks: Mapping[int, int]) -> bytes:
    """A Yjs update that stands for all items of a document: they count, but nothing is in them."""
    parts = [varint.encode(len(clocks))]
    for client, clock in sorted(clocks.items(), reverse=True):
        parts += (b"\1", varint.encode(client), b"\0", _GARBAGE, varint.encode(clock))
    return b"".join((*parts, _NOTHING_DELETED))
