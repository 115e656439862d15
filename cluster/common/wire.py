"""How members write values: strict dag-cbor, bounded before it is read, one form for one value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import cast

import cbrrr

from blockstore.cid import CID
from cluster.common.hybrid_clock import MAX_STAMP
from cluster.common.names import MAX_NAME, as_name
from cluster.errors import BadUpdate

Wire = None | bool | int | float | str | bytes | list["Wire"] | dict[str, "Wire"]

Reader = Callable[[bytes, int], Wire]
"""Reads a message of at most so many bytes. Raises BadUpdate."""

MAX_VALUE_BYTES = 16 * 1024
MAX_TEXT = 4096
MAX_LIST = 1024
MAX_ITEMS = 64 * 1024
"""Values in one message: each may take sixty times its byte in memory, and the event loop's time."""

_STRINGS = (2, 3)  # the major types whose argument is a length in bytes


def encode(value: Mapping[str, object] | list[Wire]) -> bytes:
    """Canonical dag-cbor. Raises ValueError for what dag-cbor cannot say (NaN, integers above 64 bits)."""
    try:
        return cbrrr.encode_dag_cbor(cast("list[cbrrr.DagCborTypes]", value))
    except OverflowError as error:
        raise ValueError(str(error)) from None


def decode(data: bytes, limit: int) -> Wire:
    """Strict dag-cbor of at most `limit` bytes and MAX_ITEMS values. Raises BadUpdate."""
    if len(data) > limit:
        raise BadUpdate(f"{len(data)} bytes are above the limit of {limit}")
    if len(data) > MAX_VALUE_BYTES and holds_more(data, MAX_ITEMS):
        raise BadUpdate(f"a message of more than {MAX_ITEMS} values")
    try:
        return cast("Wire", cbrrr.decode_dag_cbor(data, cid_ctor=_no_links))
    except (ValueError, RecursionError) as error:
        raise BadUpdate(f"not dag-cbor: {error}") from None


def holds_more(data: bytes, most: int) -> bool:
    """Whether there are more values than that; where it is no dag-cbor, the decoder finds no more of it."""
    position, end = 0, len(data)
    for _ in range(most):
        if position >= end:
            return False
        major, argument = data[position] >> 5, data[position] & 31
        position += 1
        if argument > 27:
            return False  # an indefinite length: refused
        if argument > 23:
            size = 1 << (argument - 24)
            argument = int.from_bytes(data[position : position + size])
            position += size
        if major in _STRINGS:
            position += argument
    return position < end


def _no_links(data: bytes) -> CID:
    raise ValueError("a link where plain data was expected")


class Fields:
    """Reads typed entries of a decoded map; every mismatch is a BadUpdate that names the key."""

    def __init__(self, value: Wire) -> None:
        if not isinstance(value, dict):
            raise BadUpdate("a map was expected")
        self._map = value

    @classmethod
    def decode(cls, data: bytes, limit: int) -> Fields:
        return cls(decode(data, limit))

    def integer(self, key: str, default: int | None = None, low: int = 0, high: int = MAX_STAMP) -> int:
        value = self._map.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise BadUpdate(f'"{key}" must be an integer from {low} to {high}')
        return value

    def number(self, key: str, default: float | None = None) -> float:
        value = self._map.get(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise BadUpdate(f'"{key}" must be a number')
        return float(value)

    def text(self, key: str, default: str | None = None, limit: int = MAX_TEXT) -> str:
        value = self._map.get(key, default)
        if not isinstance(value, str) or len(value) > limit:
            raise BadUpdate(f'"{key}" must be text of at most {limit} characters')
        return value

    def name(self, key: str, default: str | None = None) -> str:
        """Text that is shown to people: without control characters and line ends."""
        value = self.text(key, default, MAX_NAME)
        if as_name(value) != value:
            raise BadUpdate(f'"{key}" holds characters that no name has')
        return value

    def data(self, key: str, limit: int, default: bytes | None = None) -> bytes:
        value = self._map.get(key, default)
        if not isinstance(value, bytes) or len(value) > limit:
            raise BadUpdate(f'"{key}" must be at most {limit} bytes')
        return value

    def items(self, key: str, limit: int = MAX_LIST) -> list[Wire]:
        value = self._map.get(key, [])
        if not isinstance(value, list) or len(value) > limit:
            raise BadUpdate(f'"{key}" must be a list of at most {limit}')
        return value

    def texts(self, key: str, limit: int = MAX_LIST) -> tuple[str, ...]:
        values = self.items(key, limit)
        if not all(isinstance(value, str) and len(value) <= MAX_TEXT for value in values):
            raise BadUpdate(f'"{key}" must hold texts')
        return tuple(cast("list[str]", values))

    def datas(self, key: str, limit: int = MAX_LIST) -> tuple[bytes, ...]:
        values = self.items(key, limit)
        if not all(isinstance(value, bytes) for value in values):
            raise BadUpdate(f'"{key}" must hold bytes')
        return tuple(cast("list[bytes]", values))

    def mapping(self, key: str) -> Mapping[str, str]:
        value = self._map.get(key, {})
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            raise BadUpdate(f'"{key}" must map texts to texts')
        return MappingProxyType(cast("dict[str, str]", value))

    def __contains__(self, key: str) -> bool:
        return key in self._map
