"""What a block says: the CIDs it links to, and its fields where its codec has fields.

Read leniently, because content exists that no strict reader can follow (see `dag_cbor`); `decode_strict` is
for where a specification asks for the one form. On an event loop, use `decoding`: a block may be large.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable
from functools import partial
from typing import NoReturn, TypeVar, cast

import cbrrr

from blockstore.block import Block
from blockstore.cid import (
    CBOR,
    CID,
    DAG_CBOR,
    DAG_JOSE,
    DAG_JSON,
    DAG_PB,
    GIT_RAW,
    JSON,
    LIBP2P_KEY,
    RAW,
)
from blockstore.errors import BadBlock, DagTooLarge, UnknownCodec
from blockstore.ipld import dag_cbor, dag_pb, git_raw
from blockstore.ipld.cbor_value import Value

T = TypeVar("T")

__all__ = ["Value", "decode", "decode_strict", "links"]

MAX_JSON_VALUES = 250_000  # of one block: Python's JSON reader holds the GIL meanwhile
MAX_JSON_DEPTH = 768  # Python's JSON reader recurses, to a thousand levels at most

_LINKLESS = frozenset({RAW, JSON, CBOR, LIBP2P_KEY})
_FAST = 32 * 1024  # bytes that cbrrr reads in a few ms, whatever they are: it holds the GIL meanwhile
# A string without its closing quote runs to the end: one pass, whatever the text.
_MARKS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|([\[{])|([\]}])|(,)', re.DOTALL)

_DEEPER = {1: 1, 2: -1, 3: 0}  # by the group of a match


def links(block: Block) -> list[CID]:
    """The CIDs this block links to, in the order it holds them, repeats included.

    Raises UnknownCodec where the codec is none of raw, dag-pb, dag-cbor, dag-json, json, cbor, libp2p-key,
    git-raw, dag-jose; BadBlock where the bytes are not what the codec says; DagTooLarge where they are nested
    too deeply.
    """
    if block.cid.codec in _LINKLESS:
        return []
    reader = _LINKS.get(block.cid.codec)
    if reader is None:
        raise _unknown(block)
    return _of(block, lambda: reader(block.data))


def decode(block: Block) -> Value:
    """The value of a dag-cbor or dag-json block, links as CID.

    It may be nested thousands of levels deep where it is small (dag_cbor.MAX_DEPTH holds for others): walk it
    with a loop, not by recursion. Raises UnknownCodec, BadBlock, DagTooLarge.
    """
    if block.cid.codec == DAG_CBOR:
        return _of(block, lambda: _cbor_value(block.data))
    if block.cid.codec == DAG_JSON:
        return _of(block, lambda: _decode_json(block.data, CID.parse))
    raise _unknown(block)


def decode_strict(block: Block) -> Value:
    """The value of a dag-cbor block, in the one form that its specification allows. Raises BadBlock."""
    return _of(block, lambda: _cbor_strict(block.data, CID.decode))


def _of(block: Block, read: Callable[[], T]) -> T:
    try:
        return read()
    except DagTooLarge as error:
        raise DagTooLarge(f"block {block.cid}: {error}") from None
    except RecursionError:
        raise DagTooLarge(f"block {block.cid} is nested too deeply") from None
    except (ValueError, OverflowError) as error:  # BadBlock and BadCid are ValueErrors
        raise BadBlock(f"block {block.cid} does not decode: {error}") from None


def _unknown(block: Block) -> UnknownCodec:
    return UnknownCodec(f"codec 0x{block.cid.codec:x} of block {block.cid} is unknown to this program")


def _cbor_strict(data: bytes, link: Callable[[bytes], CID]) -> Value:
    # cbrrr's types name its own CID class where the constructor of links decides.
    return cast("Value", cbrrr.decode_dag_cbor(data, cid_ctor=link))


def _cbor_value(data: bytes) -> Value:
    if len(data) > _FAST:
        return dag_cbor.decode(data)
    try:
        return _cbor_strict(data, CID.decode)
    except ValueError:
        return dag_cbor.decode(data)


def _cbor_links(data: bytes) -> list[CID]:
    if len(data) > _FAST:
        return dag_cbor.links(data)
    found: list[CID] = []

    def note(link: bytes) -> CID:
        found.append(cid := CID.decode(link))
        return cid

    try:
        _cbor_strict(data, note)
    except ValueError:
        return dag_cbor.links(data)
    return found


def _json_links(data: bytes) -> list[CID]:
    found: list[CID] = []

    def note(text: str) -> CID:
        found.append(cid := CID.parse(text))
        return cid

    _decode_json(data, note)
    return found


def _jose_links(data: bytes) -> list[CID]:
    """What is signed is a CID; what is encrypted may have links in its open headers (spec: dag-jose)."""
    value = dag_cbor.decode(data)
    if not isinstance(value, dict) or not ("payload" in value or "ciphertext" in value):
        raise BadBlock("it is neither signed nor encrypted")
    payload = value.get("payload")
    signed = [CID.decode(payload)] if isinstance(payload, bytes) else []
    return signed + dag_cbor.links(data)


_LINKS: dict[int, Callable[[bytes], list[CID]]] = {
    DAG_PB: dag_pb.link_cids,
    DAG_CBOR: _cbor_links,
    DAG_JSON: _json_links,
    GIT_RAW: git_raw.links,
    DAG_JOSE: _jose_links,
}


def _decode_json(data: bytes, link: Callable[[str], CID]) -> Value:
    text = data.rstrip(b" \t\r\n\0").decode("utf-8", "surrogateescape")
    _check_size(text)
    pairs = partial(_json_map, link)
    return cast("Value", json.loads(text, object_pairs_hook=pairs, parse_constant=_refuse_constant))


def _check_size(text: str) -> None:
    """Count brackets and commas outside strings, before a reader sees them that recurses and cannot pause."""
    depth = values = 0
    for match in _MARKS.finditer(text):
        if match.lastindex is None:
            continue
        depth += _DEEPER[match.lastindex]
        values += match.lastindex != 2
        if depth > MAX_JSON_DEPTH:
            raise DagTooLarge(f"nested deeper than {MAX_JSON_DEPTH} levels")
    if values > MAX_JSON_VALUES:
        raise DagTooLarge(f"the dag-json node has more than {MAX_JSON_VALUES} values: too many to look into")


def _json_map(link: Callable[[str], CID], pairs: list[tuple[str, Value]]) -> Value:
    """A map, or what the reserved key "/" alone makes of it: a link or bytes (dag-json spec)."""
    match pairs:
        case [("/", str(text))]:
            return link(text)
        case [("/", {"bytes": str(text), **rest})] if not rest:
            return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    return dict(pairs)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of the data model")
