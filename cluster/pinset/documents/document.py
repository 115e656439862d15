"""One document of the pinset: an observed-remove set (OR-set) of pins in a Yjs map. Alone knows pycrdt.

Each entry's key is `<cid>/<client id of the writing log, in hex>`, so a key has one writer. Pinning replaces
the entries of that CID that the writer has seen; unpinning deletes them; concurrent pins survive both.

It is pycrdt's core that is used, not its Python classes: they cost ten times what the CRDT does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Protocol, cast

from pycrdt import _pycrdt as yrs

from blockstore.cid import CID
from cluster.errors import BadUpdate
from cluster.pinset.documents.document_digest import MODULUS, of_clocks, of_deletions, of_entry
from cluster.pinset.documents.lib0 import Reader
from cluster.pinset.documents.yjs_state import StatePart
from cluster.pinset.documents.yjs_update import ROOT, Update, check_clocks, entry_key

Entries = Mapping[int, bytes]
"""Client id -> value: every entry of one CID that is there now."""

NO_ENTRIES: Entries = MappingProxyType({})
_NOTHING = b"\0"  # a state vector without clients


class _EntryMap(Protocol):
    """yrs's Map of binary values; the stub that comes with pycrdt lacks `keys`."""

    def insert(self, txn: yrs.Transaction, key: str, value: bytes) -> None: ...
    def remove(self, txn: yrs.Transaction, key: str) -> None: ...
    def get(self, txn: yrs.Transaction, key: str) -> bytes: ...
    def has(self, txn: yrs.Transaction, key: str) -> bool: ...
    def keys(self, txn: yrs.Transaction) -> list[str]: ...
    def observe(self, callback: Callable[[_MapEvent], None]) -> yrs.Subscription: ...


class _MapEvent(Protocol):
    """What yrs tells of a map that changed, while the observer runs; the stub knows nothing of it."""

    @property
    def keys(self) -> Mapping[str, Mapping[str, object]]: ...


class Document:
    """A Yjs document. Writes as one client, fixed for its life.

    pycrdt holds the GIL throughout, so documents are to stay small (100 entries load in 0.1 ms).
    """

    __slots__ = ("_client", "_clocks", "_doc", "_map")

    def __init__(self, client: int, states: Iterable[bytes] = ()) -> None:
        """From its own stored snapshot and updates, in order; foreign bytes go through `apply`."""
        self._client = client
        self._doc = yrs.Doc(client, None, None)
        with _Transaction(self._doc) as txn:
            self._map = cast("_EntryMap", self._doc.get_or_insert_map(txn, ROOT))
            for state in states:
                self._doc.apply_update(txn, state)
            self._clocks = _state_vector(Reader(self._doc.get_state(txn)))

    @property
    def clocks(self) -> Mapping[int, int]:
        """How many items of each client are in this document."""
        return self._clocks

    def entries(self, cid: CID) -> Entries:
        with _Transaction(self._doc) as txn:
            return self._entries(txn, str(cid))

    def cids(self) -> list[CID]:
        with _Transaction(self._doc) as txn:
            return [
                CID.parse(text) for text in sorted({key.partition("/")[0] for key in self._map.keys(txn)})
            ]

    def clock(self, client: int) -> int:
        """How many items of that client are in this document."""
        return self._clocks.get(client, 0)

    def write(self, changes: Mapping[CID, bytes | None]) -> tuple[bytes, Mapping[CID, Entries]]:
        """Set (a value) or remove (None) each CID, replacing every entry seen.

        Returns the update, empty when nothing changed, and each changed CID's entries as they were.
        """
        seen = {cid: self.entries(cid) for cid in changes}
        before = {cid: entries for cid, entries in seen.items() if entries or changes[cid] is not None}
        return self._replace_all(before, changes) if before else b"", before

    def apply(self, data: bytes, update: Update) -> Mapping[CID, Entries]:
        """Apply `data`, read as `update` and allowed by `missing`; each changed CID's entries as they were.

        Raises BadUpdate when yrs refuses it; the document must not be used any more then.
        """
        is_here = update.end <= self.clock(update.client)
        adding = () if is_here else update.entries
        before = {entry.cid: self.entries(entry.cid) for entry in adding if entry.cid is not None}
        heard = self._apply(data, listen=update.replaces)
        if update.entries:
            self._clocks[update.client] = max(update.end, self.clock(update.client))
        return before | self._undone(heard) if heard else before

    def merge(self, parts: Iterable[tuple[bytes, StatePart]]) -> Mapping[CID, Entries] | None:
        """Join with another member's document, given in parts; each changed CID's entries as they were.

        None when all of it was here. Raises BadUpdate where a part does not build on those before it, or yrs
        refuses it; the document must not be used any more then.
        """
        before = dict(self._clocks)
        named: dict[CID, Entries] = {}
        changed: dict[str, Mapping[str, object]] = {}
        for data, part in parts:
            if not part.fits(self._clocks):
                raise BadUpdate("a part of a document that builds on what is not in it")
            named.update(dict.fromkeys(part.cids, NO_ENTRIES))
            # The first change of a key knows what was there before.
            changed = {**self._apply(data, listen=bool(before)), **changed}
            for client, (_, end) in part.clocks.items():
                self._clocks[client] = max(end, self.clock(client))
        if not before:  # of a new document all is new: an observer would cost as much as the rest
            return named if self._clocks else None
        return self._undone(changed) if changed or self._clocks != before else None

    def missing(self, update: Update, *, tolerant: bool = False) -> bool:
        """The causal gate: whether the update deletes items that are not here yet. Raises BadUpdate."""
        return check_clocks(update, self._clocks, tolerant=tolerant)

    def state(self) -> bytes:
        """The whole document as one update."""
        with _Transaction(self._doc) as txn:
            return self._doc.get_update(txn, _NOTHING)

    def digest(self) -> int:
        """Equal on two members exactly when clocks, deletions and entries are equal (document_digest)."""
        with _Transaction(self._doc) as txn:
            # Without structs an update is its deletions: all of the document's, wherever it begins.
            deleted = Reader(self._doc.get_update(txn, self._doc.get_state(txn))[1:])
            entries = sum(of_entry(key, bytes(self._map.get(txn, key))) for key in self._map.keys(txn))
        deletions = sum(of_deletions(*one) for one in _delete_set(deleted).items())
        return (entries + of_clocks(self._clocks) + deletions) % MODULUS

    def _entries(self, txn: yrs.Transaction, text: str) -> dict[int, bytes]:
        found = {}
        for client in self._clocks:
            if self._map.has(txn, key := entry_key(text, client)):
                found[client] = bytes(self._map.get(txn, key))
        return found

    def _replace_all(self, before: Mapping[CID, Entries], changes: Mapping[CID, bytes | None]) -> bytes:
        """Put the changes in place of these entries; the update."""
        updates: list[bytes] = []
        is_new = not self._clocks  # its whole state is the update, which costs less than to listen
        subscription = None if is_new else self._doc.observe(lambda event: updates.append(event.update))
        with _Transaction(self._doc) as txn:
            for cid, entries in before.items():
                self._replace(txn, str(cid), entries, changes[cid])
            if is_new:
                updates.append(self._doc.get_update(txn, _NOTHING))
        if subscription is not None:
            subscription.drop()
        return b"".join(updates)

    def _replace(self, txn: yrs.Transaction, text: str, entries: Entries, value: bytes | None) -> None:
        for client in entries:
            if client != self._client or value is None:
                self._map.remove(txn, entry_key(text, client))
        if value is not None:
            self._map.insert(txn, entry_key(text, self._client), value)
            self._clocks[self._client] = self.clock(self._client) + 1

    def _apply(self, data: bytes, *, listen: bool = True) -> Mapping[str, Mapping[str, object]]:
        """The keys that changed, with their old values, if these are to be listened for. Raises BadUpdate."""
        heard: dict[str, Mapping[str, object]] = {}
        subscription = self._map.observe(lambda event: heard.update(event.keys)) if listen else None
        try:
            with _Transaction(self._doc) as txn:
                self._doc.apply_update(txn, data)
        except BaseException as error:
            # yrs's PanicException is no Exception; everything else of that kind is not ours to keep.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise BadUpdate(f"the CRDT refused an update: {error}") from None
        if subscription is not None:
            subscription.drop()
        return heard

    def _undone(self, changed: Mapping[str, Mapping[str, object]]) -> dict[CID, Entries]:
        """The entries of each CID among those keys as they were before."""
        before: dict[str, dict[int, bytes]] = {}
        for key, change in changed.items():
            text, _, client = key.partition("/")
            if text not in before:
                before[text] = dict(self.entries(CID.parse(text)))
            before[text].pop(int(client, 16), None)
            if isinstance(old := change.get("oldValue"), bytes | bytearray):
                before[text][int(client, 16)] = bytes(old)
        return {CID.parse(text): entries for text, entries in before.items()}


class _Transaction:
    """A transaction of yrs, committed at its end. contextlib would cost more than the work inside."""

    __slots__ = ("_txn",)

    def __init__(self, doc: yrs.Doc) -> None:
        self._txn = doc.create_transaction()

    def __enter__(self) -> yrs.Transaction:
        return self._txn

    def __exit__(self, *_: object) -> None:
        self._txn.drop()


def _delete_set(reader: Reader) -> dict[int, tuple[tuple[int, int], ...]]:
    """Deleted [start, end) ranges by client, sorted and joined: yrs's own order is not canonical."""
    found = {}
    for _ in range(reader.integer()):
        client = reader.integer()
        found[client] = _joined([(reader.integer(), reader.integer()) for _ in range(reader.integer())])
    return found


def _joined(lengths: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    joined: list[tuple[int, int]] = []
    for start, length in sorted(lengths):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(start + length, joined[-1][1]))
        else:
            joined.append((start, start + length))
    return tuple(joined)


def _state_vector(reader: Reader) -> dict[int, int]:
    return {reader.integer(): reader.integer() for _ in range(reader.integer())}
