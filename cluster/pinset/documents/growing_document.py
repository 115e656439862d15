"""A document that entries of new CIDs are added to, while all that it holds already stays unread on the disk.

What such an addition is in Yjs follows from the clocks alone, so no CRDT is asked: its update is put together
here as yrs would, byte for byte, and its digest changes by what is added (document_digest).
"""

from __future__ import annotations

from collections.abc import Mapping

from blockstore.cid import CID
from cluster.pinset.documents.document import NO_ENTRIES, Entries
from cluster.pinset.documents.document_digest import of_clock, of_entry
from cluster.pinset.documents.yjs_update import Update, check_clocks, encode_additions, entry_key

_NO_CHANGES: Mapping[CID, Entries] = {}


class GrowingDocument:
    """As Document, of which it does the part that needs no look at other entries. Writes as one client."""

    __slots__ = ("_added", "_client", "_gain", "clocks")

    def __init__(self, client: int, clocks: Mapping[int, int]) -> None:
        self._client = client
        self.clocks = dict(clocks)
        """How many items of each client are in this document."""
        self._added: dict[CID, Entries] = {}
        self._gain = 0

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
        items: list[tuple[str, bytes]] = []
        for cid, value in changes.items():
            if value is not None:
                items.append((key := entry_key(cid, client), value))
                self._add(cid, client, key, value)
        if not items:
            return b"", _NO_CHANGES
        self._advance(client, clock + len(items))
        return encode_additions(client, clock, items), dict.fromkeys(changes, NO_ENTRIES)

    def apply(self, data: bytes, update: Update) -> Mapping[CID, Entries]:
        """Add what `update`, read from `data` and allowed by `missing`, adds; the entries before, none."""
        client = update.client
        if update.end <= self.clock(client):
            return _NO_CHANGES
        before: dict[CID, Entries] = {}
        for entry in update.entries:
            if entry.cid is not None:
                self._add(entry.cid, client, entry_key(entry.cid, client), entry.value)
                before[entry.cid] = NO_ENTRIES
        self._advance(client, update.end)
        return before

    def missing(self, update: Update, *, tolerant: bool = False) -> bool:
        """The causal gate, as of Document. Raises BadUpdate."""
        return check_clocks(update, self.clocks, tolerant=tolerant)

    def gain(self) -> int:
        """By how much its digest differs from what it was."""
        return self._gain

    def _add(self, cid: CID, client: int, key: str, value: bytes) -> None:
        self._added[cid] = {client: value}
        self._gain += of_entry(key, value)

    def _advance(self, client: int, clock: int) -> None:
        self._gain += of_clock(client, clock) - of_clock(client, self.clock(client))
        self.clocks[client] = clock
