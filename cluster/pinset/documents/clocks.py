"""The clocks of a document as they are stored beside it: how many items of each client it has."""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from types import MappingProxyType

_ITEM = Struct(">QI")
NO_CLOCKS: Mapping[int, int] = MappingProxyType({})


def encode_clocks(clocks: Mapping[int, int]) -> bytes:
    """Twelve bytes a client, in order of client: its id and its clock, which yrs counts in 32 bits."""
    return b"".join(map(_ITEM.pack, *zip(*sorted(clocks.items()), strict=True))) if clocks else b""


def decode_clocks(data: bytes) -> dict[int, int]:
    """Raises struct.error for bytes that encode_clocks did not make."""
    return dict(_ITEM.iter_unpack(data))
