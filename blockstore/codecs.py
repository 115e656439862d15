"""What a block says: the CIDs it links to, and its fields where its codec has fields.

dag-cbor goes through cbrrr, which is strict, never recurses and hands every link to a constructor of ours.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable
from functools import partial
from typing import NoReturn, TypeAlias, cast

import cbrrr

from blockstore import dag_pb
from blockstore.block import Block
from blockstore.cid import CBOR, CID, DAG_CBOR, DAG_JSON, DAG_PB, JSON, LIBP2P_KEY, RAW
from blockstore.errors import BadBlock, UnknownCodec

Value: TypeAlias = bool | int | float | str | bytes | CID | list["Value"] | dict[str, "Value"] | None
"""The IPLD data model."""

MAX_JSON_DEPTH = 256  # Python's JSON reader recurses; no data made by people comes near this

_LINKLESS = frozenset({RAW, JSON, CBOR, LIBP2P_KEY})
# A string without its closing quote runs to the end: one pass, whatever the text.
_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|([\[{])|([\]}])', re.DOTALL)


def links(block: Block) -> list[CID]:
    """The CIDs this block links to, in the order it holds them, repeats included.

    Raises UnknownCodec where the codec is none of raw, dag-pb, dag-cbor, dag-json, json, cbor, libp2p-key;
    BadBlock where the bytes are not what the codec says.
    """
    codec = block.cid.codec
    if codec in _LINKLESS:
        return []
    if codec == DAG_PB:
        return dag_pb.link_cids(block.data)
    found: list[CID] = []

    _decode(block, found.append)
    return found


def decode(block: Block) -> Value:
    """The value of a dag-cbor or dag-json block, links as CID. Raises UnknownCodec, BadBlock.

    A dag-cbor value may be nested as deeply as its block is long: walk it with a loop, not by recursion.
    """
    return _decode(block, lambda cid: None)


def _decode(block: Block, note: Callable[[CID], None]) -> Value:
    def link(cid: CID) -> CID:
        note(cid)
        return cid

    try:
        if block.cid.codec == DAG_CBOR:
            # cbrrr's types name its own CID class where the constructor of links decides.
            return cast(
                "Value", cbrrr.decode_dag_cbor(block.data, cid_ctor=lambda data: link(CID.decode(data)))
            )
        if block.cid.codec == DAG_JSON:
            return _decode_json(block.data, lambda text: link(CID.parse(text)))
    except ValueError as error:  # BadCid is one
        raise BadBlock(f"block {block.cid} does not decode: {error}") from None
    raise UnknownCodec(f"codec 0x{block.cid.codec:x} of block {block.cid} is unknown to this program")


def _decode_json(data: bytes, link: Callable[[str], CID]) -> Value:
    text = data.decode("utf-8")
    _check_depth(text)
    pairs = partial(_json_map, link)
    return cast("Value", json.loads(text, object_pairs_hook=pairs, parse_constant=_refuse_constant))


def _check_depth(text: str) -> None:
    """Count brackets outside strings before a recursive reader sees them."""
    depth = 0
    for match in _BRACKETS.finditer(text):
        if match.lastindex is not None:
            depth += 1 if match.lastindex == 1 else -1
            if depth > MAX_JSON_DEPTH:
                raise ValueError(f"nested deeper than {MAX_JSON_DEPTH}")


def _json_map(link: Callable[[str], CID], pairs: list[tuple[str, Value]]) -> Value:
    """A map, or what the reserved first key "/" makes of it: a link or bytes (dag-json spec)."""
    if pairs and pairs[0][0] == "/":
        match pairs:
            case [(_, str(text))]:
                return link(text)
            case [(_, {"bytes": str(text), **rest})] if not rest:
                return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
            case [(_, str()), *_] | [(_, {"bytes": str()}), *_]:
                raise ValueError('a map with the reserved key "/" holds more than a link or bytes')
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a map holds a key twice")
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of the data model")
