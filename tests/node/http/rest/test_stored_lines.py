"""Lines made straight from stored values are those that were made of pins, and damage is told as before."""

from __future__ import annotations

import hashlib
import time

from hypothesis import given
from hypothesis import strategies as st

from blockstore.cid import CID, DAG_JSON, DAG_PB, RAW
from cluster.common.pin_codec import decode_pin, encode_pin
from cluster.errors import BadUpdate
from cluster.pin import Pin, PinMode, PinOptions
from node.http.go import gojson
from node.http.rest import shapes, stored_lines
from node.http.rest.stored_lines import Row

DIGESTS = st.binary(min_size=32, max_size=32).map(lambda digest: b"\x12\x20" + digest)
CIDS = st.one_of(
    DIGESTS.map(CID.v0),
    st.builds(CID.v1, st.sampled_from([RAW, DAG_PB, DAG_JSON]), DIGESTS),
    st.binary(max_size=40).map(lambda data: CID.identity(RAW, data)),
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(
    ["<script>&\u2028\u2029", '"\\\n\t\x00\x7f', "näme 🜁", "a" * 255]
)
TIMES = st.floats(-1e14, 1e14) | st.sampled_from([0.0, 1.5, 253402300799.9, 253402300800.0, 1e300])
OPTIONS = st.builds(
    PinOptions,
    name=TEXTS,
    mode=st.sampled_from(PinMode),
    replication_min=st.integers(-1, 1024),
    replication_max=st.integers(-1, 1024),
    user_allocations=st.lists(TEXTS, max_size=2).map(tuple),
    expire_at=st.none() | TIMES,
    metadata=st.dictionaries(TEXTS, TEXTS, max_size=4),
    pin_update=st.none() | CIDS,
    origins=st.lists(TEXTS, max_size=2).map(tuple),
    shard_size=st.sampled_from([0, 1, 104857600]),
    max_size=st.sampled_from([0, 5000]),
    deadline=st.sampled_from([0, 4_000_000_000]),
    attempts=st.sampled_from([0, 3]),
)
PLAIN = st.tuples(TEXTS, st.integers(-1, 9), st.integers(-1, 9)).map(
    lambda plain: PinOptions(plain[0], replication_min=plain[1], replication_max=plain[2])
)
PINS = st.builds(
    Pin, CIDS, PLAIN | OPTIONS, st.lists(TEXTS, max_size=3).map(tuple), TIMES, st.integers(0, 2**40)
)


def row(pin: Pin, stamp: int = 7) -> Row:
    return bytes(pin.cid), encode_pin(pin).stamped(stamp)


def some_rows(count: int) -> list[Row]:
    cids = (CID.v1(RAW, b"\x12\x20" + hashlib.sha256(b"%d" % number).digest()) for number in range(count))
    return [
        row(Pin(cid, PinOptions(name=f"pin {number}"), (), number + 0.5)) for number, cid in enumerate(cids)
    ]


def before(cid: bytes, value: bytes) -> bytes:
    """As all lines were made once."""
    return gojson.encode(shapes.pin_as_stored(decode_pin(value).pin(CID.decode(cid))))


@given(st.lists(PINS, max_size=8))
def test_a_line_is_byte_for_byte_what_a_pin_is_written_as(pins: list[Pin]) -> None:
    rows, odd = [row(pin) for pin in pins], list[BadUpdate]()
    assert b"".join(stored_lines.pieces(rows, odd)) == b"".join(before(*one) for one in rows)
    assert odd == []


@given(PINS, st.integers(0), st.integers(1, 255), st.booleans())
def test_a_damaged_row_is_told_or_reads_as_something_else(
    pin: Pin, place: int, flipped: int, in_cid: bool
) -> None:
    """It never breaks the lines around it. What no decoder can tell from a pin is listed as it reads."""
    cid, value = row(pin)
    target = bytearray(cid if in_cid else value)
    target[place % len(target)] ^= flipped
    damaged = (bytes(target), value) if in_cid else (cid, bytes(target))
    good, odd = row(Pin(CID.v1(RAW, b"\x12\x20" + bytes(32)), PinOptions(), (), 1.0)), list[BadUpdate]()
    lines = b"".join(stored_lines.pieces([good, damaged, good], odd)).splitlines(keepends=True)
    assert lines[0] == lines[-1] == before(*good)
    assert len(lines) + len(odd) == 3
    try:
        expected = before(*damaged)
    except (BadUpdate, ValueError):
        return
    assert lines[1] == expected


def test_a_row_that_cannot_be_read_hides_no_other() -> None:
    rows = some_rows(600)
    rows[5] = (rows[5][0], b"rot")
    odd: list[BadUpdate] = []
    assert len(b"".join(stored_lines.pieces(rows, odd)).splitlines()) == 599
    (error,) = odd
    assert rows[5][0].hex() in str(error)


def test_a_line_costs_a_small_part_of_what_it_cost() -> None:
    """Measured together, so that a slow machine is slow for both: it is about a tenth."""
    rows = some_rows(3000)
    began = time.process_time()
    for one in rows:
        before(*one)
    middle = time.process_time()
    b"".join(stored_lines.pieces(rows, []))
    assert time.process_time() - middle < (middle - began) / 2
