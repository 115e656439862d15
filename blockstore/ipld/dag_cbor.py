"""dag-cbor read as others wrote it: any well-formed CBOR (RFC 8949), links found, values made of it.

The codec's specification allows one form of each value. Chains and archives of twelve years hold others:
keys in any order, text that is not UTF-8, short floats, `undefined`, unknown tags, lengths that are
not shortest or not told at all. A reader that refuses those cannot follow the links of content that exists.
Nothing here recurses; what is written by this program is in the one form (cbrrr).
"""

from __future__ import annotations

import re
import struct
from typing import TypeAlias

from blockstore.cid import CID
from blockstore.errors import BadBlock, DagTooLarge

MAX_DEPTH = 1024
"""Levels of lists and maps in one another (go-ipld-prime's limit)."""
MAX_ITEMS = 500_000
"""Values that are made of one block: some 60 MB. Links are found in larger ones too."""

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _LIST, _MAP, _TAG, _SIMPLE = range(8)
_LINK = 42
_BREAK = b"\xff"
# How many items are left at a level that ends with a break is unknown; in a map, a key or a value is next.
_UNTOLD, _UNTOLD_KEY, _UNTOLD_VALUE = -1, -2, -3
_ONE_LESS = {_UNTOLD: _UNTOLD, _UNTOLD_KEY: _UNTOLD_VALUE, _UNTOLD_VALUE: _UNTOLD_KEY}
_SIZES = {25: 2, 26: 4, 27: 8}
_FLOATS = {3: ">e", 5: ">f", 9: ">d"}  # by their bytes
_CONSTANTS = {20: False, 21: True, 22: None, 23: None}
# Items of one byte that hold nothing: many in a row are passed over at once.
_SHORT = re.compile(rb"[\x00-\x17\x20-\x37\x40\x60\x80\xa0\xe0-\xf7]+")

Value: TypeAlias = bool | int | float | str | bytes | CID | list["Value"] | dict[str, "Value"] | None


def links(data: bytes) -> list[CID]:  # noqa: C901  # one loop: calls would take most of its time
    """Every link in the order of the bytes, repeats included. Time: one look at each item.

    Raises BadBlock where it is not one whole item of CBOR, or a link is no CID; DagTooLarge.
    """
    found: list[CID] = []
    around: list[int] = []  # what is left at the levels above, packed as `left` is here
    left, position, end = 1, 0, len(data)
    while True:
        while left == 0 and around:
            left = around.pop()
        if left == 0:
            break
        if left < 0:
            if data[position : position + 1] == _BREAK:
                if left == _UNTOLD_VALUE:
                    raise _bad(position, "a map ends behind a key")
                position, left = position + 1, 0
                continue
        elif (run := _SHORT.match(data, position, position + left)) is not None:
            left -= run.end() - position
            position = run.end()
            continue
        major, argument, position = _head(data, position)
        if major == _TAG:
            if argument != _LINK or position == end or data[position] >> 5 != _BYTES:
                continue  # it says something of the item that follows, which counts
            position = _note(data, position, found)
        elif major in (_BYTES, _TEXT):
            position = _skip_string(data, position, major, argument)
        left = _ONE_LESS[left] if left < 0 else left - 1
        if major in (_LIST, _MAP):
            if len(around) == MAX_DEPTH:
                raise DagTooLarge(f"dag-cbor is nested deeper than {MAX_DEPTH} levels")
            around.append(left)
            left = _items(data, position, major, argument)
    _check_end(data, position)
    return found


def decode(data: bytes) -> Value:
    """The value. Of a key that comes twice the last counts; text that is not UTF-8 has lone surrogates.

    Tags other than links are passed over; `undefined` is None, as are the simple values without a meaning.
    Keys that are no text are refused. Raises BadBlock, DagTooLarge.
    """
    builder = _Builder()
    position = 0
    while not builder.done:
        if builder.untold and data[position : position + 1] == _BREAK:
            position += 1
            builder.end(position)
            continue
        start = position
        major, argument, position = _head(data, position)
        if major in (_LIST, _MAP):
            builder.open(major, _items(data, position, major, argument), position)
        elif major == _TAG and not _is_link(data, argument, position):
            continue
        else:
            value, position = _scalar(data, start, major, argument, position)
            builder.put(value, position)
    _check_end(data, position)
    return builder.value


class _Builder:
    """Values put into one another, without recursion."""

    def __init__(self) -> None:
        self.value: Value = None
        self.done = False
        self._open: list[tuple[list[Value] | dict[str, Value], int]] = []
        self._left = 0
        self._key: str | None = None
        self._keys: list[str | None] = []
        self._items = 0

    @property
    def untold(self) -> bool:
        """Whether the level that is open ends with a break."""
        return bool(self._open) and self._left < 0

    def put(self, value: Value, position: int) -> None:
        """A value that is whole; it may complete those around it."""
        self._count()
        self._hold(value, position)
        self._close(position)

    def open(self, major: int, left: int, position: int) -> None:
        """A list or a map of so many items."""
        self._count(max(left, 0))
        if len(self._open) == MAX_DEPTH:
            raise DagTooLarge(f"dag-cbor is nested deeper than {MAX_DEPTH} levels")
        if self._open and isinstance(self._open[-1][0], dict) and self._key is None:
            raise _bad(position, "a key is no text")
        self._open.append(([] if major == _LIST else {}, self._left))
        self._keys.append(self._key)
        self._left, self._key = left, None
        self._close(position)

    def end(self, position: int) -> None:
        """A break."""
        if self._key is not None:
            raise _bad(position, "a map ends behind a key")
        self._left = 0
        self._close(position)

    def _hold(self, value: Value, position: int) -> None:
        if not self._open:
            self.value, self.done = value, True
            return
        holder = self._open[-1][0]
        if isinstance(holder, list):
            holder.append(value)
        elif self._key is not None:
            holder[self._key] = value
            self._key = None
        elif isinstance(value, str):
            self._key = value
        else:
            raise _bad(position, "a key is no text")
        self._left -= 1

    def _close(self, position: int) -> None:
        while self._open and self._left == 0:
            value, self._left = self._open.pop()
            self._key = self._keys.pop()
            self._hold(value, position)

    def _count(self, promised: int = 0) -> None:
        self._items += 1
        if self._items + promised > MAX_ITEMS:
            raise DagTooLarge(f"the dag-cbor node has more than {MAX_ITEMS} values: too many to look into")


def _head(data: bytes, position: int) -> tuple[int, int, int]:
    """The first bytes of an item: its major type, its argument (_UNTOLD: none), and where it goes on."""
    try:
        first = data[position]
        info = first & 31
        if info < 24:
            return first >> 5, info, position + 1
        if info == 24:
            return first >> 5, data[position + 1], position + 2
    except IndexError:
        raise _bad(position, "the bytes end before the value does") from None
    if size := _SIZES.get(info):
        end = position + 1 + size
        if end > len(data):
            raise _bad(position, "the bytes end before the value does")
        return first >> 5, int.from_bytes(data[position + 1 : end], "big"), end
    if info == 31 and _BYTES <= first >> 5 <= _MAP:
        return first >> 5, _UNTOLD, position + 1
    raise _bad(position, f"0x{first:02x} begins no value")


def _items(data: bytes, position: int, major: int, argument: int) -> int:
    """How many follow: each has a byte at least, so what claims more is not whole."""
    if argument == _UNTOLD:
        return _UNTOLD if major == _LIST else _UNTOLD_KEY
    count = 2 * argument if major == _MAP else argument
    if count > len(data) - position:
        raise _bad(position, "the bytes end before the value does")
    return count


def _skip_string(data: bytes, position: int, major: int, argument: int) -> int:
    if argument != _UNTOLD:
        end = position + argument
    else:
        end = position
        while end < len(data) and data[end : end + 1] != _BREAK:
            kind, size, start = _head(data, end)
            if kind != major or size == _UNTOLD:
                raise _bad(end, "a string in pieces has another thing in it")
            end = start + size
        end += 1
    if end > len(data):
        raise _bad(position, "the bytes end before the value does")
    return end


def _is_link(data: bytes, tag: int, position: int) -> bool:
    """Whether a tag says that the byte string behind it is a CID."""
    return tag == _LINK and position < len(data) and data[position] >> 5 == _BYTES


def _note(data: bytes, position: int, found: list[CID]) -> int:
    """The byte string behind the tag of a link; where it ends."""
    _, argument, start = _head(data, position)
    end = _skip_string(data, start, _BYTES, argument)
    if argument < 1 or data[start] != 0:
        raise _bad(position, "a link does not begin with a zero byte")
    try:
        found.append(CID.decode(data[start + 1 : end]))
    except ValueError as error:
        raise _bad(position, str(error)) from None
    return end


def _scalar(data: bytes, start: int, major: int, argument: int, position: int) -> tuple[Value, int]:
    """What holds no other values; `start` is where it began, `position` where its head ended."""
    if major == _UNSIGNED:
        return argument, position
    if major == _NEGATIVE:
        return -1 - argument, position
    if major == _SIMPLE:
        return _simple(data, start, argument, position), position
    if major == _TAG:
        found: list[CID] = []
        end = _note(data, position, found)
        return found[0], end
    end = _skip_string(data, position, major, argument)
    body = data[position:end] if argument != _UNTOLD else _pieces(data, position, end - 1)
    return (body.decode("utf-8", "surrogateescape") if major == _TEXT else body), end


def _pieces(data: bytes, position: int, end: int) -> bytes:
    parts: list[bytes] = []
    while position < end:
        _, size, start = _head(data, position)
        position = start + size
        parts.append(data[start:position])
    return b"".join(parts)


def _simple(data: bytes, start: int, argument: int, position: int) -> Value:
    if form := _FLOATS.get(position - start):
        (number,) = struct.unpack(form, data[start + 1 : position])
        return float(number)
    return _CONSTANTS.get(argument)


def _check_end(data: bytes, position: int) -> None:
    if position != len(data):
        raise _bad(position, f"{len(data) - position} bytes follow the value")


def _bad(position: int, reason: str) -> BadBlock:
    return BadBlock(f"invalid dag-cbor at byte {position}: {reason}")
