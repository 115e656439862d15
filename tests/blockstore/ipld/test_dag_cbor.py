"""CBOR as others write it: from an encoder that picks any form of each value, into the reader."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.dags import leaf

from blockstore.cid import CID
from blockstore.errors import BadBlock, DagTooLarge
from blockstore.ipld import cbor_value, dag_cbor

CIDS = [leaf(number).cid for number in range(4)]


@dataclass(frozen=True)
class Written:
    """Bytes, the value that they stand for, and its links in the order of the bytes."""

    wire: bytes
    value: cbor_value.Value
    links: tuple[CID, ...] = ()


def head(major: int, number: int, width: int) -> bytes:
    """The head of an item in the shortest form, or in a wider one (0 to 4)."""
    least = 0 if number < 24 else next(i for i, size in enumerate((1, 2, 4, 8), 1) if number < 256**size)
    form = max(least, width)
    if not form:
        return bytes([major << 5 | number])
    return bytes([major << 5 | 23 + form]) + number.to_bytes(1 << form - 1, "big")


widths = st.integers(0, 4)


@st.composite
def numbers(draw: st.DrawFn) -> Written:
    value = draw(st.integers(-(2**64), 2**64 - 1) | st.integers(-30, 30))
    wire = head(1, -1 - value, draw(widths)) if value < 0 else head(0, value, draw(widths))
    return Written(wire, value)


@st.composite
def floats(draw: st.DrawFn) -> Written:
    form, first = draw(st.sampled_from([(">e", b"\xf9"), (">f", b"\xfa"), (">d", b"\xfb")]))
    wire = draw(st.binary(min_size=struct.calcsize(form), max_size=struct.calcsize(form)))
    return Written(first + wire, struct.unpack(form, wire)[0])


@st.composite
def strings(draw: st.DrawFn, major: int) -> Written:
    pieces = draw(st.lists(st.binary(max_size=30), max_size=4))
    value = b"".join(pieces)
    if len(pieces) == 1 or draw(st.booleans()):
        wire = head(major, len(value), draw(widths)) + value
    else:
        chunks = (head(major, len(piece), draw(widths)) + piece for piece in pieces)
        wire = bytes([major << 5 | 31]) + b"".join(chunks) + b"\xff"
    return Written(wire, value if major == 2 else value.decode("utf-8", "surrogateescape"))


@st.composite
def cids(draw: st.DrawFn) -> Written:
    cid = draw(st.sampled_from(CIDS))
    body = b"\0" + bytes(cid)
    return Written(head(6, 42, draw(widths)) + head(2, len(body), draw(widths)) + body, cid, (cid,))


simple = st.sampled_from(
    [
        Written(b"\xf4", False),
        Written(b"\xf5", True),
        Written(b"\xf6", None),
        Written(b"\xf7", None),
        Written(b"\xe0", None),
        Written(b"\xf8\xff", None),
    ]
)
scalars = numbers() | floats() | strings(2) | strings(3) | cids() | simple


@st.composite
def tagged(draw: st.DrawFn, inner: st.SearchStrategy[Written]) -> Written:
    item = draw(inner)
    tag = draw(st.integers(0, 2**64 - 1).filter(lambda tag: tag != 42))
    return Written(head(6, tag, draw(widths)) + item.wire, item.value, item.links)


def _around(draw: Callable[[st.SearchStrategy[int]], int], major: int, count: int, body: bytes) -> bytes:
    if draw(st.integers(0, 2)) == 0:
        return bytes([major << 5 | 31]) + body + b"\xff"
    return head(major, count, draw(widths)) + body


@st.composite
def lists(draw: st.DrawFn, inner: st.SearchStrategy[Written]) -> Written:
    items = draw(st.lists(inner, max_size=30))
    wire = _around(draw, 4, len(items), b"".join(item.wire for item in items))
    return Written(wire, [item.value for item in items], tuple(cid for item in items for cid in item.links))


@st.composite
def maps(draw: st.DrawFn, inner: st.SearchStrategy[Written]) -> Written:
    pairs = draw(st.lists(st.tuples(strings(3), inner), max_size=8))  # in any order, keys perhaps twice
    wire = _around(draw, 5, len(pairs), b"".join(key.wire + value.wire for key, value in pairs))
    links = tuple(cid for _, value in pairs for cid in value.links)
    return Written(wire, {str(key.value): value.value for key, value in pairs}, links)


items = st.recursive(scalars, lambda inner: lists(inner) | maps(inner) | tagged(inner), max_leaves=40)


def same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and one == other


@given(items)
@settings(max_examples=100)
def test_any_form_of_a_value_is_read_with_its_links(written: Written) -> None:
    assert dag_cbor.links(written.wire) == list(written.links)
    assert same(dag_cbor.decode(written.wire), written.value)


@given(items, st.data())
@settings(max_examples=100)
def test_what_is_cut_or_continued_is_refused(written: Written, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(written.wire) - 1))
    for wire in (written.wire[:cut], written.wire + b"\0"):
        for read in (dag_cbor.links, dag_cbor.decode):
            with pytest.raises(BadBlock):
                read(wire)


@given(st.binary(max_size=60))
@settings(max_examples=100)
def test_any_bytes_end_in_a_value_or_in_bad_block(wire: bytes) -> None:
    for read in (dag_cbor.links, dag_cbor.decode):
        try:
            read(wire)
        except BadBlock:
            continue


def test_too_many_values_are_refused_before_they_are_made() -> None:
    many = cbor_value.MAX_ITEMS + 1
    with pytest.raises(DagTooLarge, match="500000"):
        dag_cbor.decode(head(4, many, 0) + b"\0" * many)
    assert dag_cbor.links(head(4, many, 0) + b"\0" * many) == []
