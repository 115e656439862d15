"""A document that entries of new CIDs are added to, while all that it holds already stays unread on the disk.

What such an addition is in Yjs follows from the clocks alone, so no CRDT is asked: its update is put together
here as yrs would, byte for byte, and its digest changes by what is added (document_digest).
"""

from __future__ import annotations

from collections.abc import Mapping

from blockstore.cid import CID
from cluster.pinset.document import NO_ENTRIES, Entries
from cluster.pinset.document_digest import of_clocks, of_entry
from cluster.pinset.yjs_update import Update, check_clocks, encode_additions, entry_key

_NO_CHANGES: Mapping[CID, Entries] = {}


class GrowingDocument:
    """As Document, of which it does the part that needs no look at other entries. Writes as one client."""

    __slots__ = ("_added", "_client", "_were", "clocks")

    def __init__(self, client: int, clocks: Mapping[int, int]) -> None:
        self._client = client
        self._were = clocks
        self.clocks = dict(clocks)
        """How many items of each client are in this document."""
        self._added: dict[CID, Entries] = {}

    def entries(self, cid: CID) -> Entries:
        """Of a CID that it did not hold in the beginning."""
        return self._added.get(cid, NO_ENTRIES)

    def clock(self, client: int) -> int:
        """How many items of that client are in this document."""
        return self.clocks.get(client, 0)

    def write(self, changes: Mapping[CID, bytes | None]) -> tuple[bytes, Mapping[CID, Entries]]:
        """Set a value for each of these CIDs, none of which it holds; None removes nothing, then.

        Returns the update, empty when nothing changed, and the entries that there were: none.
        """
        client, clock = self._client, self.clock(self._client)
        new = [(cid, value) for cid, value in changes.items() if value is not None]
        if not new:
            return b"", _NO_CHANGES
        for cid, value in new:
            self._added[cid] = {client: value}
        self.clocks[client] = clock + len(new)
        items = [(entry_key(cid, client), value) for cid, value in new]
        return encode_additions(client, clock, items), dict.fromkeys(changes, NO_ENTRIES)

    def apply(self, data: bytes, update: Update) -> Mapping[CID, Entries]:
        """Add what `update`, read from `data` and allowed by `missing`, adds; the entries before, none."""
        client = update.client
        if update.end <= self.clock(client):
            return _NO_CHANGES
        for entry in update.entries:
            if entry.cid is not None:
                self._added[entry.cid] = {client: entry.value}
        self.clocks[client] = update.end
        return {entry.cid: NO_ENTRIES for entry in update.entries if entry.cid is not None}

    def missing(self, update: Update, *, tolerant: bool = False) -> bool:
        """The causal gate, as of Document. Raises BadUpdate."""
        return check_clocks(update, self.clocks, tolerant=tolerant)

    def gain(self) -> int:
        """By how much its digest differs from what it was."""
        added = sum(
            of_entry(entry_key(cid, client), value)
            for cid, entries in self._added.items()
            for client, value in entries.items()
        )
        moved = {client: clock for client, clock in self.clocks.items() if self._were.get(client) != clock}
        return added + of_clocks(moved) - of_clocks({client: self._were.get(client, 0) for client in moved})
