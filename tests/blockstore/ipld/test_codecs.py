from __future__ import annotations

import base64
import json
import math

import dag_cbor
import multiformats
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.dags import leaf, node

from blockstore.block import Block
from blockstore.cid import CBOR, CID, DAG_CBOR, DAG_JSON, JSON, LIBP2P_KEY, RAW
from blockstore.errors import BadBlock, DagTooLarge, UnknownCodec
from blockstore.ipld.cbor_value import MAX_DEPTH, Value
from blockstore.ipld.codecs import MAX_JSON_DEPTH, decode, decode_strict, links

A, B = leaf(1).cid, leaf(2).cid
LINK = b"\xd8\x2a\x58\x25\x00" + bytes(A)


def json_block(value: object) -> Block:
    return Block.of(json.dumps(value).encode(), DAG_JSON)


def link(cid: CID) -> multiformats.CID:
    return multiformats.CID.decode(bytes(cid))


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.sampled_from([A, B])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


def links_in(value: Value) -> list[CID]:
    match value:
        case CID():
            return [value]
        case list():
            return [cid for item in value for cid in links_in(item)]
        case dict():
            return [cid for item in value.values() for cid in links_in(item)]
    return []


def for_oracle(value: Value) -> dag_cbor.IPLDKind:
    match value:
        case CID():
            return link(value)
        case list():
            return [for_oracle(item) for item in value]
        case dict():
            return {key: for_oracle(item) for key, item in value.items()}
    return value


def as_json(value: Value) -> object:
    match value:
        case CID():
            return {"/": str(value)}
        case bytes():
            return {"/": {"bytes": base64.b64encode(value).decode().rstrip("=")}}
        case list():
            return [as_json(item) for item in value]
        case dict():
            return {key: as_json(item) for key, item in value.items()}
    return value


@given(values)
def test_dag_cbor_that_another_library_wrote_is_read_with_its_links(value: Value) -> None:
    block = Block.of(dag_cbor.encode(for_oracle(value)), DAG_CBOR)
    assert decode(block) == value
    assert sorted(links(block), key=bytes) == sorted(links_in(value), key=bytes)


@given(values.filter(lambda value: not _has_reserved_key(value)))
def test_dag_json_is_read_with_its_links_and_bytes(value: Value) -> None:
    block = json_block(as_json(value))
    assert decode(block) == value
    assert links(block) == links_in(value)


def _has_reserved_key(value: Value) -> bool:
    if isinstance(value, dict):
        return "/" in value or any(map(_has_reserved_key, value.values()))
    return isinstance(value, list) and any(map(_has_reserved_key, value))


def test_links_come_in_order_and_repeated() -> None:
    assert links(node([A, B, A])) == [A, B, A]
    assert links(Block.of(dag_cbor.encode([link(B), {"x": link(A)}, link(B)]), DAG_CBOR)) == [B, A, B]


@pytest.mark.parametrize("codec", [RAW, JSON, CBOR, LIBP2P_KEY])
def test_blocks_without_links_are_not_looked_into(codec: int) -> None:
    assert links(Block.of(b"\xff{", codec)) == []


def test_the_links_of_an_inline_block_are_read_too() -> None:
    inner = Block.inline(CID.identity(DAG_CBOR, dag_cbor.encode([link(A)])))
    assert links(inner) == [A]


def test_an_unknown_codec_is_said_to_be_unknown() -> None:
    with pytest.raises(UnknownCodec, match="0x300123"):
        links(Block.of(b"", 0x300123))
    with pytest.raises(UnknownCodec):
        decode(Block.of(b"", RAW))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xf6\xf6",  # two items
        b"\xd8\x2a\x40",  # an empty link
        b"\xd8\x2a\x42\x00\x01",  # a truncated link
        b"\xd8\x2a\x44\x01\x55\x00\x00",  # a link without its zero byte
        b"\xbf\x61a\xff",  # a map that ends behind a key
        b"\x7f\x41a\xff",  # text in pieces, one of which is bytes
        b"\x9f\x01",  # no end
        b"\xff",
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",  # a list longer than memory
    ],
)
def test_bad_dag_cbor_is_refused(data: bytes) -> None:
    with pytest.raises(BadBlock):
        links(Block.of(data, DAG_CBOR))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1,]",
        '{"/":"not a cid"}',
        '{"/":{"bytes":"A?"}}',
        "NaN",
        "-Infinity",
        "\ufeff1",
        "1" * 5000,
    ],
)
def test_bad_dag_json_is_refused(text: str) -> None:
    with pytest.raises(BadBlock):
        links(Block.of(text.encode(), DAG_JSON))


def test_dag_json_in_another_encoding_is_refused() -> None:
    with pytest.raises(BadBlock):
        links(Block.of('["x"]'.encode("utf-16"), DAG_JSON))


def test_the_reserved_key_is_free_for_other_uses() -> None:
    assert decode(json_block({"/": 1})) == {"/": 1}
    assert decode(json_block({"a": 1, "/": "x"})) == {"a": 1, "/": "x"}
    assert decode(json_block({"/": {"bytes": 1}})) == {"/": {"bytes": 1}}
    assert decode(json_block({"/": str(A), "x": 1})) == {"/": str(A), "x": 1}


def test_dag_json_that_only_others_write_is_followed() -> None:
    text = f'{{"b":{{"/":"{A}"}},"b":{{"/":"{B}"}},"a":"'.encode() + b'\xff"}\n'
    assert links(Block.of(text, DAG_JSON)) == [A, B]


STRICT_ONLY = [
    b"\x18\x00",  # not the shortest form
    b"\xa2\x61b\x01\x61a\x01",  # keys out of order
    b"\x9f\xff",  # indefinite length
    b"\xd8\x2b\x01",  # another tag
    b"\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00",  # NaN
    b"\x62\xc3\x28",  # text that is not UTF-8
]


@pytest.mark.parametrize("data", STRICT_ONLY)
def test_where_the_specification_asks_for_one_form_others_are_refused(data: bytes) -> None:
    block = Block.of(data, DAG_CBOR)
    assert links(block) == []
    decode(block)
    with pytest.raises(BadBlock):
        decode_strict(block)


@pytest.mark.parametrize("opening", [b"\x81", b"\xa1\x61a", b"\x82\xf6"])
def test_dag_cbor_is_read_to_a_thousand_levels(opening: bytes) -> None:
    deepest = Block.of(opening * MAX_DEPTH + LINK, DAG_CBOR)
    assert links(deepest) == [A]
    decode(deepest)
    block = Block.of(opening * 100_000 + LINK, DAG_CBOR)
    for read in (links, decode):
        with pytest.raises(DagTooLarge, match="deeper than 1024"):
            read(block)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ("[", ""), ('{"a":[', "")])
def test_deep_dag_json_is_refused_before_it_is_parsed(opening: str, closing: str) -> None:
    text = opening * 100_000 + "1" + closing * 100_000
    with pytest.raises(DagTooLarge, match="deeper"):
        links(Block.of(text.encode(), DAG_JSON))


def test_dag_json_at_the_depth_limit_is_read() -> None:
    text = "[" * MAX_JSON_DEPTH + '"[[{\\"["' + "]" * MAX_JSON_DEPTH
    assert links(Block.of(text.encode(), DAG_JSON)) == []


@pytest.mark.parametrize("text", ['"' * 400_000, '"' + '\\"' * 200_000, '"\\' * 200_000, "\\" * 400_000])
@pytest.mark.timeout(10)
def test_strings_that_never_end_do_not_cost_quadratic_time(text: str) -> None:
    with pytest.raises(BadBlock):
        links(Block.of(text.encode(), DAG_JSON))


def test_numbers_keep_their_kind() -> None:
    value = decode(json_block([1, 1.0, 2**70]))
    assert isinstance(value, list)
    assert [type(item) for item in value] == [int, float, int]
    whole = decode(Block.of(dag_cbor.encode([1.0]), DAG_CBOR))
    assert isinstance(whole, list)
    assert isinstance(whole[0], float)
    assert math.isclose(whole[0], 1)
