"""Reads a whole document of another member, or a part of one (Yjs update v1), before the CRDT may see it.

A batch holds what one client wrote just now; a stored document holds what many clients wrote over years:
their entries of one binary value each, and what is left of those that were replaced or removed (*deleted
structs*, which keep their place in the key's chain but no value). Nothing else is ever made of a pinset,
no garbage-collected structs either: those stand only inside deleted types, and the one map is never deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from blockstore.cid import CID
from cluster.errors import BadUpdate
from cluster.pinset.documents.lib0 import Reader
from cluster.pinset.documents.yjs_update import (
    MAX_CLIENT,
    Deletion,
    check_replaced,
    read_cid,
    read_deletions,
    read_value,
)

MAX_CLOCK = (1 << 31) - 1
"""Items that one client may have in one document: yrs counts in 32 bits."""

_DELETED, _ENTRY = 0x01, 0x08  # kinds of content, in the low bits of a struct's first byte
_KEY, _LEFT = 0x20, 0x80  # it stands in a map; it follows a struct of the same key, and takes its key from it
_FIRST_DELETED, _FIRST_ENTRY = _DELETED | _KEY, _ENTRY | _KEY
_LATER_DELETED, _LATER_ENTRY = _FIRST_DELETED | _LEFT, _FIRST_ENTRY | _LEFT


@dataclass(frozen=True, slots=True)
class StatePart:
    """What one update of a stored document does, of any number of clients."""

    clocks: Mapping[int, tuple[int, int]]  # client -> items [start, end) that are in it
    cids: tuple[CID, ...]  # of the keys that it names; one may come twice
    values: tuple[bytes, ...]  # of entries that are not deleted in it
    deletions: tuple[Deletion, ...]

    def fits(self, clocks: Mapping[int, int]) -> bool:
        """Whether a document with these clocks has all that this builds on: no gap, no deletion of what is
        not there.
        """
        if any(start > clocks.get(client, 0) for client, (start, _) in self.clocks.items()):
            return False
        return all(one.end <= max(clocks.get(one.client, 0), self._end(one.client)) for one in self.deletions)

    def _end(self, client: int) -> int:
        return self.clocks[client][1] if client in self.clocks else 0


def parse_state(data: bytes, max_value: int) -> StatePart:
    """Raises BadUpdate for anything that no pinset's document is made of."""
    reader = Reader(data)
    cids: list[CID] = []
    values: list[bytes] = []
    clocks: dict[int, tuple[int, int]] = {}
    for _ in range(reader.integer()):
        structs, client, start = reader.integer(), reader.integer(), reader.integer()
        if not 0 < client <= MAX_CLIENT or client in clocks or not structs:
            raise BadUpdate("a client that is none, or whose items are in more than one piece, or in none")
        end = start
        for _ in range(structs):
            end += read_struct(reader, client, end, max_value, cids, values)
            if end > MAX_CLOCK:
                raise BadUpdate("a clock beyond bounds")
        clocks[client] = start, end
    deletions = read_deletions(reader)
    if not reader.ended:
        raise BadUpdate("bytes behind the update")
    return StatePart(clocks, tuple(cids), tuple(values), deletions)


def read_struct(
    reader: Reader, client: int, clock: int, max_value: int, cids: list[CID], values: list[bytes]
) -> int:
    """Reads one struct; how many items it stands for."""
    info = reader.byte()
    if info in (_FIRST_DELETED, _FIRST_ENTRY):
        cids.append(read_cid(reader, client))
    elif info in (_LATER_DELETED, _LATER_ENTRY):
        check_replaced(reader, client, clock)
    else:
        raise BadUpdate(f"content of kind {info:#04x}, which no pin is made of")
    if info & _ENTRY:
        values.append(read_value(reader, max_value))
        return 1
    length = reader.integer()
    if not length:
        raise BadUpdate("a deleted struct that stands for nothing")
    return length
