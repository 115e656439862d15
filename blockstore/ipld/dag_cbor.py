"""dag-cbor read as others wrote it: any well-formed CBOR (RFC 8949), links found, values made of it.

The codec's specification allows one form of each value. Chains and archives of twelve years hold others:
keys in any order, text that is not UTF-8, short floats, `undefined`, unknown tags, lengths that are
not shortest or not given at all. A reader that refuses those cannot follow the links of content that exists.
Nothing here recurses; what is written by this program is in the one form (cbrrr).
"""

from __future__ import annotations

import re
import struct

from blockstore.cid import CID
from blockstore.errors import DagTooLarge
from blockstore.ipld.cbor_items import (
    BREAK,
    BYTES,
    INDEFINITE,
    INDEFINITE_VALUE,
    LINK,
    LIST,
    MAP,
    NEGATIVE,
    ONE_LESS,
    SIMPLE,
    TAG,
    TEXT,
    UNSIGNED,
    bad_at,
    check_end,
    count_of,
    head,
    joined_pieces,
    skip_string,
)
from blockstore.ipld.cbor_value import MAX_DEPTH, Value, ValueBuilder

_FLOATS = {3: ">e", 5: ">f", 9: ">d"}  # by their bytes
_CONSTANTS = {20: False, 21: True, 22: None, 23: None}
# Items of one byte that hold nothing: many in a row are passed over at once.
_SHORT = re.compile(rb"[\x00-\x17\x20-\x37\x40\x60\x80\xa0\xe0-\xf7]+")


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
            if data[position : position + 1] == BREAK:
                if left == INDEFINITE_VALUE:
                    raise bad_at(position, "a map ends behind a key")
                position, left = position + 1, 0
                continue
        elif (run := _SHORT.match(data, position, position + left)) is not None:
            left -= run.end() - position
            position = run.end()
            continue
        major, argument, position = head(data, position)
        if major == TAG:
            if argument != LINK or position == end or data[position] >> 5 != BYTES:
                continue  # it says something of the item that follows, which counts
            position = _note(data, position, found)
        elif major in (BYTES, TEXT):
            position = skip_string(data, position, major, argument)
        left = ONE_LESS[left] if left < 0 else left - 1
        if major in (LIST, MAP):
            if len(around) == MAX_DEPTH:
                raise DagTooLarge(f"dag-cbor is nested deeper than {MAX_DEPTH} levels")
            around.append(left)
            left = count_of(data, position, major, argument)
    check_end(data, position)
    return found


def decode(data: bytes) -> Value:
    """The value. Of a key that comes twice the last counts; text that is not UTF-8 has lone surrogates.

    Tags other than links are passed over; `undefined` is None, as are the simple values without a meaning.
    Keys that are no text are refused. Raises BadBlock, DagTooLarge.
    """
    builder = ValueBuilder()
    position = 0
    while not builder.done:
        if builder.untold and data[position : position + 1] == BREAK:
            position += 1
            builder.end(position)
            continue
        start = position
        major, argument, position = head(data, position)
        if major in (LIST, MAP):
            builder.open(major, count_of(data, position, major, argument), position)
        elif major == TAG and not _is_link(data, argument, position):
            continue
        else:
            value, position = _scalar(data, start, major, argument, position)
            builder.put(value, position)
    check_end(data, position)
    return builder.value


def _is_link(data: bytes, tag: int, position: int) -> bool:
    """Whether a tag says that the byte string behind it is a CID."""
    return tag == LINK and position < len(data) and data[position] >> 5 == BYTES


def _note(data: bytes, position: int, found: list[CID]) -> int:
    """The byte string behind the tag of a link; where it ends."""
    _, argument, start = head(data, position)
    end = skip_string(data, start, BYTES, argument)
    if argument < 1 or data[start] != 0:
        raise bad_at(position, "a link does not begin with a zero byte")
    try:
        found.append(CID.decode(data[start + 1 : end]))
    except ValueError as error:
        raise bad_at(position, str(error)) from None
    return end


def _scalar(data: bytes, start: int, major: int, argument: int, position: int) -> tuple[Value, int]:
    """What holds no other values; `start` is where it began, `position` where its head ended."""
    if major == UNSIGNED:
        return argument, position
    if major == NEGATIVE:
        return -1 - argument, position
    if major == SIMPLE:
        return _simple(data, start, argument, position), position
    if major == TAG:
        found: list[CID] = []
        end = _note(data, position, found)
        return found[0], end
    end = skip_string(data, position, major, argument)
    body = data[position:end] if argument != INDEFINITE else joined_pieces(data, position, end - 1)
    return (body.decode("utf-8", "surrogateescape") if major == TEXT else body), end


def _simple(data: bytes, start: int, argument: int, position: int) -> Value:
    if form := _FLOATS.get(position - start):
        (number,) = struct.unpack(form, data[start + 1 : position])
        return float(number)
    return _CONSTANTS.get(argument)
