"""Query strings as Go's clients write them: typed reads that name the parameter when it does not parse."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

import libipld
from multidict import MultiMapping

from blockstore.cid import CID, LIBP2P_KEY
from blockstore.errors import BadCid
from node.http.errors import BadRequest

_TRUE = {"1", "t", "T", "true", "TRUE", "True"}
_FALSE = {"0", "f", "F", "false", "FALSE", "False"}

Query = Mapping[str, str]


def check_text(search: str) -> None:
    """Raises BadRequest for a query, as it was sent, that is not UTF-8."""
    if "%" not in search:
        return
    try:
        unquote_to_bytes(search).decode()
    except UnicodeDecodeError:
        raise BadRequest("the parameters are not UTF-8") from None


def check_repeated(query: MultiMapping[str], *lists: str) -> None:
    """Raises BadRequest for a parameter that is there twice, and is none of those that may be."""
    names = set(query)
    if len(names) == len(query):
        return
    for name in names:
        if name not in lists and len(query.getall(name)) > 1:
            raise BadRequest(f"parameter {name[:64]} is there more than once")


def boolean(query: Query, name: str, default: bool = False) -> bool:
    """Raises BadRequest."""
    text = query.get(name, "")
    if not text:
        return default
    if text not in _TRUE | _FALSE:
        raise BadRequest(f"parameter {name} invalid")
    return text in _TRUE


def integer(query: Query, name: str, default: int = 0) -> int:
    """A whole number of at most 18 digits. Raises BadRequest."""
    text = query.get(name, "")
    if not text:
        return default
    digits = text[1:] if text[0] in "+-" else text
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise BadRequest(f"parameter {name} invalid")
    return int(text)


def comma_list(text: str) -> list[str]:
    """Entries between commas, blanks around them removed, empty ones dropped."""
    return [entry for part in text.split(",") if (entry := part.strip())] if text else []


def cid(text: str) -> CID:
    """Raises BadRequest with ipfs-cluster's wording."""
    try:
        return CID.parse(text)
    except BadCid as error:
        raise BadRequest(f"error decoding Cid: {error}") from None


def peer_id(text: str) -> str:
    """A peer id in its base58 form, from that form or from a CID of its key. Raises BadRequest."""
    try:
        if text.startswith(("Qm", "1")) and len(text) <= 128:
            multihash = libipld.decode_multibase("z" + text)[1]
            CID.decode(b"\x01\x72" + multihash)
            return text
        cid = CID.parse(text)
    except (BadCid, ValueError):
        raise BadRequest(f'error decoding Peer ID: "{text[:128]}"') from None
    if cid.codec != LIBP2P_KEY:
        raise BadRequest(f'error decoding Peer ID: "{text[:128]}" is no key')
    return str(libipld.encode_multibase("z", cid.multihash))[1:]
