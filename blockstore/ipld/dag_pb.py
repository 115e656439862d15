"""dag-pb nodes: links and opaque bytes, in protobuf's wire form (ipld.io/specs/codecs/dag-pb).

Hand-written, because the canonical order (Links before Data) is not the order that protobuf libraries write.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter

from blockstore.cid import CID
from blockstore.common import varint
from blockstore.errors import BadBlock, BadCid

_NODE_DATA, _NODE_LINK = 0x0A, 0x12  # protobuf tags: field number << 3 | wire type
_LINK_HASH, _LINK_NAME, _LINK_TSIZE = 0x0A, 0x12, 0x18

_LEAST_LINK = 6  # bytes of one that has an empty identity CID and nothing else

REMEMBERED_BYTES = 64 * 1024
"""Nodes up to this size are remembered, decoded: a file of 1024 chunks, a directory of a thousand names."""
REMEMBERED = 16
"""How many of them: even nodes of nothing but links take some 2 MB each then."""

_Sections = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class PBLink:
    """An edge: target, name (None when the field is absent), bytes of the DAG below it as its writer claims.

    A name whose bytes are not UTF-8 carries them as lone surrogates ("surrogateescape"), so nothing is lost.
    """

    cid: CID
    name: str | None
    tsize: int | None


@dataclass(frozen=True, slots=True)
class PBNode:
    """Links in the order they are written, and bytes (None when the field is absent)."""

    links: tuple[PBLink, ...]
    data: bytes | None


def encode(node: PBNode) -> bytes:
    """The canonical bytes. Links are written as given: directories must sort theirs by name first."""
    parts: list[bytes] = []
    for link in node.links:
        body = _encode_link(link)
        parts += (b"\x12", _varint(len(body)), body)
    if node.data is not None:
        parts += (b"\x0a", _varint(len(node.data)), node.data)
    return b"".join(parts)


def decode(data: bytes) -> PBNode:
    """Read a node, strictly: known fields only, each once, in an order some writer uses. Raises BadBlock."""
    links: list[PBLink] = []
    body: bytes | None = None
    for tag, start, stop in _sections(data):
        if tag == _NODE_LINK:
            links.append(PBLink(*_decode_link(data, start, stop)))
        else:
            body = data[start:stop]
    return PBNode(tuple(links), body)


def link_cids(data: bytes) -> list[CID]:
    """The targets of a node's links, in order, checked as strictly as `decode` does. Raises BadBlock."""
    return [_decode_link(data, start, stop)[0] for tag, start, stop in _sections(data) if tag == _NODE_LINK]


def each_link(data: bytes) -> Iterator[PBLink]:
    """A node's links one by one, each decoded when its turn comes. Raises BadBlock there."""
    for tag, start, stop in _sections(data):
        if tag == _NODE_LINK:
            yield PBLink(*_decode_link(data, start, stop))


def totals(data: bytes) -> tuple[bytes | None, int, int]:
    """A node's Data, how many links it has, and the sum of what they claim (Tsize): they are not decoded.

    Raises BadBlock.
    """
    body: bytes | None = None
    links = tsize = 0
    for tag, start, stop in _sections(data):
        if tag == _NODE_LINK:
            links += 1
            tsize += _tsize(data, start, stop)
        else:
            body = data[start:stop]
    return body, links, tsize


def find_link(data: bytes, name: str) -> PBLink | None:
    """The first link of that name; others are not decoded, so not checked either. Raises BadBlock."""
    encoded = name.encode("utf-8", "surrogateescape")
    field = b"\x12" + _varint(len(encoded)) + encoded
    if (position := data.find(field)) < 0:
        return None
    sections = _sections(data)
    first = bisect_right(sections, position, key=itemgetter(1)) - 1
    for tag, start, stop in sections[max(first, 0) :]:
        if tag == _NODE_LINK and data.find(field, start, stop) >= 0:
            link = PBLink(*_decode_link(data, start, stop))
            if link.name == name:
                return link
    return None


def node_data(data: bytes) -> bytes | None:
    """A node's Data alone. Raises BadBlock."""
    sections = _sections(data)
    for tag, start, stop in (*sections[:1], *sections[-1:]):  # it stands nowhere else
        if tag == _NODE_DATA:
            return data[start:stop]
    return None


def _varint(value: int) -> bytes:
    return bytes((value,)) if value < 0x80 else varint.encode(value)


def _encode_link(link: PBLink) -> bytes:
    cid = link.cid
    target = cid.multihash if cid.version == 0 else b"\x01" + _varint(cid.codec) + cid.multihash
    body = b"\x0a" + _varint(len(target)) + target
    if link.name is not None:
        name = link.name.encode("utf-8", "surrogateescape")
        body += b"\x12" + _varint(len(name)) + name
    if link.tsize is not None:
        body += b"\x18" + varint.encode(link.tsize)
    return body


def _sections(data: bytes) -> _Sections:
    """Tag, start and stop of each field of a node: Data at most once, and not between links."""
    return _scanned_lately(data) if len(data) <= REMEMBERED_BYTES else _scanned_last(data)


def _scanned(data: bytes) -> _Sections:
    found: list[tuple[int, int, int]] = []
    position, end, bodies = 0, len(data), []
    while position < end:
        tag = data[position]
        length, start = _length(data, position + 1)
        position = start + length
        if position > end:
            raise BadBlock("invalid dag-pb: the bytes end inside a field")
        if tag == _NODE_DATA:
            bodies.append(len(found))
        elif tag != _NODE_LINK:
            raise BadBlock(f"invalid dag-pb: unknown field tag 0x{tag:x} in a node")
        elif length < _LEAST_LINK:
            raise BadBlock("invalid dag-pb: a link has no room for a CID")
        found.append((tag, start, position))
    if bodies not in ([], [0], [len(found) - 1]):
        raise BadBlock("invalid dag-pb: Data is repeated, or stands between links")
    return tuple(found)


# One request for a large directory looks at its node four times (a block of 2 MiB takes some 10 MB for that).
_scanned_lately = lru_cache(REMEMBERED)(_scanned)
_scanned_last = lru_cache(1)(_scanned)


def _length(data: bytes, position: int) -> tuple[int, int]:
    """The varint at `position` and the offset behind it."""
    try:
        value = data[position]
        return (value, position + 1) if value < 0x80 else varint.decode(data, position)
    except (IndexError, ValueError) as error:
        raise BadBlock(f"invalid dag-pb: {error}") from None


def _decode_link(data: bytes, position: int, stop: int) -> tuple[CID, str | None, int | None]:
    if position == stop or data[position] != _LINK_HASH:
        raise BadBlock("invalid dag-pb: a link does not begin with its Hash")
    length, position = _length(data, position + 1)
    cid = _decode_cid(data[position : position + length])
    position += length
    name: str | None = None
    tsize: int | None = None
    if position < stop and data[position] == _LINK_NAME:
        length, position = _length(data, position + 1)
        name = data[position : position + length].decode("utf-8", "surrogateescape") if length else ""
        position += length
    if position < stop and data[position] == _LINK_TSIZE:
        tsize, position = _length(data, position + 1)
    if position != stop:
        raise BadBlock("invalid dag-pb: a link has an unknown, repeated, misplaced or truncated field")
    return cid, name, tsize


def _tsize(data: bytes, position: int, stop: int) -> int:
    """The last field of a link; 0 where it has none."""
    while position + 1 < stop and data[position] != _LINK_TSIZE:
        length = data[position + 1]
        position += 2
        if length > 0x7F:
            length, position = _length(data, position - 1)
        position += length
    return _length(data, position + 1)[0] if position < stop and data[position] == _LINK_TSIZE else 0


def _decode_cid(target: bytes) -> CID:
    """Bytes behind the CID are passed over, as other readers do: what it names is content that exists."""
    try:
        return CID.decode(target, loose=True)
    except BadCid as error:
        raise BadBlock(f"invalid dag-pb: {error}") from None
