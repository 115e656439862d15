"""Pin values have one form, survive the trip, and nothing else is read."""

from __future__ import annotations

import dag_cbor
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockstore.cid import CID, DAG_PB, RAW
from cluster.common import wire
from cluster.common.hybrid_clock import MAX_STAMP
from cluster.common.pin_codec import MAX_DEADLINE, decode_pin, encode_pin
from cluster.errors import BadPinOptions, BadUpdate
from cluster.pin import Pin, PinMode, PinOptions

texts = st.text(max_size=40)
seconds = st.floats(0, 4e9, allow_nan=False)
cids = st.binary(min_size=32, max_size=32).map(lambda digest: CID.v1(RAW, b"\x12\x20" + digest))
options = st.builds(
    PinOptions,
    name=texts,
    mode=st.sampled_from(PinMode),
    replication_min=st.integers(-1, 9),
    replication_max=st.integers(-1, 9),
    user_allocations=st.lists(texts, max_size=3).map(tuple),
    expire_at=st.none() | seconds,
    metadata=st.dictionaries(texts, texts, max_size=4),
    pin_update=st.none() | cids,
    origins=st.lists(texts, max_size=3).map(tuple),
    shard_size=st.integers(0, 1 << 53),
    max_size=st.integers(0, 1 << 53),
    deadline=st.integers(0, MAX_DEADLINE),
    attempts=st.integers(0, 9),
)
pins = st.builds(
    Pin, cids, options, st.lists(texts, max_size=4).map(tuple), created=seconds, size=st.integers(0, 1 << 50)
)


@given(pin=pins, stamp=st.integers(0, MAX_STAMP))
def test_a_pin_comes_back_as_it_was_written(pin: Pin, stamp: int) -> None:
    value = decode_pin(encode_pin(pin).stamped(stamp))
    assert value.pin(pin.cid) == pin
    assert value.stamp == stamp


@given(pin=pins)
def test_a_pin_is_canonical_dag_cbor_for_an_independent_codec(pin: Pin) -> None:
    value = encode_pin(pin).stamped(7)
    assert dag_cbor.encode(dag_cbor.decode(value)) == value


@given(pin=pins, stamp=st.integers(1, MAX_STAMP))
def test_the_stamp_is_put_where_a_codec_would_put_it(pin: Pin, stamp: int) -> None:
    encoded = encode_pin(pin)
    unstamped = wire.decode(encoded.body, wire.MAX_VALUE_BYTES)
    assert isinstance(unstamped, dict)
    assert encoded.stamped(stamp) == wire.encode({**unstamped, "s": stamp})
    assert len(encoded.stamped(stamp)) <= encoded.size


@given(pin=pins)
def test_what_an_encoded_pin_says_is_what_is_read_of_it(pin: Pin) -> None:
    encoded = encode_pin(pin)
    assert encoded.value == decode_pin(encoded.body)


@given(data=st.binary(max_size=80))
def test_any_bytes_are_either_a_pin_or_a_bad_update(data: bytes) -> None:
    try:
        decode_pin(data)
    except BadUpdate:
        return


def test_values_of_the_future_are_read_without_what_is_unknown() -> None:
    assert decode_pin(wire.encode({"name": "x", "zz-later": [1]})).options.name == "x"


@pytest.mark.parametrize(
    "data",
    [
        b"\x81" * 10_000 + b"\x00",  # deeply nested
        b"\xa2\x61b\x01\x61a\x01",  # keys out of order
        b"\xa1\x61s\x18\x01",  # an integer longer than needed
        b"\xa1\x61s\xd8\x2a\x45\x00\x01\x55\x00\x00",  # a link
        b"\xa1\x67created\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00",  # NaN
        b"\xa1\x64name\x01",  # a name that is a number
        b"\xa1\x61s\xf5",  # a stamp that is a boolean
        b"\xa1\x64mode\x65" + b"other",
        b"\x80",
        b"",
    ],
)
def test_values_that_break_the_rules_are_refused(data: bytes) -> None:
    with pytest.raises(BadUpdate):
        decode_pin(data)


@pytest.mark.parametrize(
    "bad",
    [
        PinOptions(name="n" * 256),
        PinOptions(metadata={"key": "v" * wire.MAX_VALUE_BYTES}),
        PinOptions(expire_at=float("nan")),
        PinOptions(replication_min=-2),
        PinOptions(origins=("x",) * 2000),
    ],
)
def test_a_pin_that_others_would_refuse_is_refused_before_it_is_written(bad: PinOptions) -> None:
    with pytest.raises(BadPinOptions, match="cannot pin"):
        encode_pin(Pin(CID.v1(DAG_PB, b"\x12\x20" + bytes(32)), bad, (), 0.0))
