"""Which blocks cannot link to others, seen without decoding them."""

from __future__ import annotations

from blockstore.cid import CID, DAG_PB, RAW
from blockstore.common import varint


def is_leaf(cid: CID, only_data: bool) -> bool:
    """Whether a block cannot link; `only_data` is `holds_only_data` of its bytes."""
    return cid.codec == RAW or (only_data and cid.codec == DAG_PB)


HEAD_BYTES = 16
"""Of a block, as many as `holds_only_data` looks at: a tag and the longest varint."""


def holds_only_data(head: bytes, size: int) -> bool:
    """Whether a block, read as dag-pb, is a Data field alone: no links. Constant time (spec: dag-pb).

    `head` are its first HEAD_BYTES or more, `size` all its bytes.
    """
    if not head.startswith(b"\x0a"):
        return not size
    try:
        length, start = varint.decode(head, 1)
    except ValueError:
        return False
    return start + length == size
