"""What an object of git links to (ipld.io/specs/codecs/git): its bytes are those that git hashes."""

from __future__ import annotations

import re

from blockstore.cid import CID, GIT_RAW
from blockstore.errors import BadBlock

_SHA1 = b"\x11\x14"  # the head of its multihash
_HEADER = re.compile(rb"(blob|tree|commit|tag) (0|[1-9][0-9]{0,15})\0")
_ENTRY = re.compile(rb"[0-7]+ [^\0]+\0(.{20})", re.DOTALL)
# A line of the head of a commit or tag; a commit may hold whole tags, of which this is the first line.
_LINK = re.compile(rb"(?:tree|parent|object|mergetag object) ([0-9a-f]{40})", re.IGNORECASE)


def links(data: bytes) -> list[CID]:
    """Of a tree its entries; of a commit its tree, its parents and what tags in it name; of a tag its object.

    Raises BadBlock.
    """
    header = _HEADER.match(data)
    if header is None:
        raise BadBlock("invalid git object: it does not begin with its type and size")
    if header[1] == b"blob":
        return []
    found = _entries(data, header.end()) if header[1] == b"tree" else _named(data[header.end() :])
    return [CID.v1(GIT_RAW, _SHA1 + digest) for digest in found]


def _entries(data: bytes, position: int) -> list[bytes]:
    found: list[bytes] = []
    while position < len(data):
        entry = _ENTRY.match(data, position)
        if entry is None:
            raise BadBlock(f"invalid git tree: no entry at byte {position}")
        found.append(entry[1])
        position = entry.end()
    return found


def _named(body: bytes) -> list[bytes]:
    """Lines down to the first empty one; those that go on an earlier line begin with a blank."""
    head, _, _ = body.partition(b"\n\n")
    links = [_LINK.fullmatch(line) for line in head.split(b"\n")]
    found = [bytes.fromhex(link[1].decode()) for link in links if link is not None]
    if not found:
        raise BadBlock("invalid git object: it names no other")
    return found
