"""Updates and documents without what void clients wrote: those of forked logs, whose items mean two things.

Nothing that others wrote builds on an item of theirs: an item follows earlier ones of its own key, and a key
has one writer. Only deletions name items of others, and these go too.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

from blockstore.common import varint
from cluster.common.wire import MAX_VALUE_BYTES
from cluster.pinset.documents.lib0 import Reader
from cluster.pinset.documents.yjs_state import read_struct
from cluster.pinset.documents.yjs_update import Deletion, read_deletions

NOTHING = b"\0\0"
"""An update without items and deletions."""


def without_clients(data: bytes, void: Set[int]) -> bytes:
    """A Yjs update (v1) without the items of these clients, and deletions of them. Raises BadUpdate."""
    reader = Reader(data)
    kept: list[bytes] = []
    for _ in range(reader.integer()):
        begin = reader.position
        structs, client, clock = reader.integer(), reader.integer(), reader.integer()
        for _ in range(structs):
            clock += read_struct(reader, client, clock, MAX_VALUE_BYTES, [], [])
        if client not in void:
            kept.append(data[begin : reader.position])
    deletions = [one for one in read_deletions(reader) if one.client not in void]
    return varint.encode(len(kept)) + b"".join(kept) + _encoded(deletions)


def deletions_alone(deletions: Iterable[Deletion]) -> bytes:
    """An update that does nothing else."""
    return b"\0" + _encoded(deletions)


def _encoded(deletions: Iterable[Deletion]) -> bytes:
    ranges: dict[int, list[Deletion]] = {}
    for one in deletions:
        ranges.setdefault(one.client, []).append(one)
    parts = [varint.encode(len(ranges))]
    for client, ones in ranges.items():
        parts += (varint.encode(client), varint.encode(len(ones)))
        for one in ones:
            parts += (varint.encode(one.start), varint.encode(one.end - one.start))
    return b"".join(parts)
