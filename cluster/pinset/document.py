"""One document of the pinset: an observed-remove set (OR-set) of pins in a Yjs map. Alone knows pycrdt.

Each entry's key is `<cid>/<client id of the writing log, in hex>`, so a key has one writer. Pinning replaces
the entries of that CID that the writer has seen; unpinning deletes them; concurrent pins survive both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from inspect import Parameter, Signature
from types import MappingProxyType

from pycrdt import Doc, Map, MapEvent, Snapshot, TransactionEvent

from blockstore.cid import CID
from cluster.common import wire
from cluster.errors import BadUpdate
from cluster.pinset.lib0 import Reader
from cluster.pinset.yjs_state import StatePart
from cluster.pinset.yjs_update import ROOT, Update, entry_key

Entries = Mapping[int, bytes]
"""Client id -> value: every entry of one CID that is there now."""

NO_ENTRIES: Entries = MappingProxyType({})


class Document:
    """A Yjs document and an index of its entries by CID. Writes as one client, fixed for its life.

    pycrdt holds the GIL throughout, so documents are to stay small (100 entries load in 0.13 ms).
    """

    def __init__(self, client: int, states: Iterable[bytes] = ()) -> None:
        """From its own stored snapshot and updates, in order; foreign bytes go through `apply`."""
        self._client = client
        self._doc: Doc[Map[bytes]] = Doc(client_id=client)
        self._map = self._doc.get(ROOT, type=Map)
        for state in states:
            self._doc.apply_update(state)
        self._entries: dict[str, dict[int, bytes]] = {}
        for key, value in (self._map.to_py() or {}).items():
            self._set(key, bytes(value))
        self._clocks = self._snapshot()[1]
        self._before: dict[str, Entries] = {}
        self._updates: list[bytes] = []
        self._subscriptions = (
            self._doc.observe(self._on_update),
            self._map.observe(_Listener(self._on_entries)),
        )

    def entries(self, cid: CID) -> Entries:
        return self._entries.get(str(cid), NO_ENTRIES)

    def cids(self) -> list[CID]:
        return [CID.parse(text) for text in self._entries]

    def clock(self, client: int) -> int:
        """How many items of that client are in this document."""
        return self._clocks.get(client, 0)

    def write(self, changes: Mapping[CID, bytes | None]) -> tuple[bytes, Mapping[CID, Entries]]:
        """Set (a value) or remove (None) each CID, replacing every entry seen.

        Returns the update, empty when nothing changed, and each changed CID's entries as they were.
        """
        self._begin()
        with self._doc.transaction():
            for cid, value in changes.items():
                for client in self._entries.get(str(cid), ()):
                    if client != self._client or value is None:
                        del self._map[entry_key(cid, client)]
                if value is not None:
                    self._map[entry_key(cid, self._client)] = value
                    self._clocks[self._client] = self.clock(self._client) + 1
        return b"".join(self._updates), self._changed()

    def apply(self, data: bytes, update: Update) -> Mapping[CID, Entries]:
        """Apply `data`, read as `update` and allowed by `missing`; each changed CID's entries as they were.

        Raises BadUpdate when yrs refuses it; the document must not be used any more then.
        """
        self._begin()
        self._apply(data)
        if update.entries:
            self._clocks[update.client] = update.end
        return self._changed()

    def merge(self, parts: Iterable[tuple[bytes, StatePart]]) -> Mapping[CID, Entries]:
        """Join with another member's document, given in parts; each changed CID's entries as they were.

        Raises BadUpdate where a part does not build on those before it, or yrs refuses it; the document must
        not be used any more then.
        """
        self._begin()
        for data, part in parts:
            if not part.fits(self._clocks):
                raise BadUpdate("a part of a document that builds on what is not in it")
            self._apply(data)
            for client, (_, end) in part.clocks.items():
                self._clocks[client] = max(end, self.clock(client))
        return self._changed()

    def missing(self, update: Update) -> bool:
        """The causal gate: whether the update deletes items that are not here yet, so has to wait.

        Raises BadUpdate when its items do not follow the client's last: a clock used twice, or a gap.
        """
        if update.entries and update.start != self.clock(update.client):
            raise BadUpdate(f"an update starts at clock {update.start}, not at {self.clock(update.client)}")
        clocks = {update.client: max(update.end, self.clock(update.client))}
        return any(
            deletion.end > clocks.get(deletion.client, self.clock(deletion.client))
            for deletion in update.deletions
        )

    def state(self) -> bytes:
        """The whole document as one update."""
        return self._doc.get_update()

    def digest(self) -> bytes:
        """16 bytes, equal on two members exactly when state vector, deletions and entries are equal."""
        deleted, clocks = self._snapshot()
        entries = sorted(
            (cid, client, value) for cid, values in self._entries.items() for client, value in values.items()
        )
        content: list[wire.Wire] = [
            [[client, [[*part] for part in ranges]] for client, ranges in sorted(deleted.items())],
            [[client, clock] for client, clock in sorted(clocks.items())],
            [[*entry] for entry in entries],
        ]
        return hashlib.sha256(wire.encode(content)).digest()[:16]

    def close(self) -> None:
        """Lets go of what yrs holds; observers keep a document alive otherwise."""
        for subscription in self._subscriptions:
            subscription.drop()

    def _apply(self, data: bytes) -> None:
        try:
            self._doc.apply_update(data)
        except BaseException as error:
            # yrs's PanicException is no Exception; everything else of that kind is not ours to keep.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise BadUpdate(f"the CRDT refused an update: {error}") from None

    def _begin(self) -> None:
        self._before = {}
        self._updates.clear()

    def _changed(self) -> Mapping[CID, Entries]:
        return {CID.parse(text): entries for text, entries in self._before.items()}

    def _on_update(self, event: TransactionEvent) -> None:
        self._updates.append(bytes(event.update))

    def _on_entries(self, event: MapEvent) -> None:
        # An exception here would surface only after the commit: keys are checked before anything is applied.
        for key, change in event.keys.items():  # type: ignore[attr-defined]  # a slot without annotation
            text = key.partition("/")[0]
            self._before.setdefault(text, dict(self._entries.get(text, {})))
            if change["action"] == "delete":
                self._unset(key)
            else:
                self._set(key, bytes(change["newValue"]))

    def _set(self, key: str, value: bytes) -> None:
        text, _, client = key.partition("/")
        self._entries.setdefault(text, {})[int(client, 16)] = value

    def _unset(self, key: str) -> None:
        text, _, client = key.partition("/")
        entries = self._entries.get(text, {})
        entries.pop(int(client, 16), None)
        if not entries:
            self._entries.pop(text, None)

    def _snapshot(self) -> tuple[dict[int, tuple[tuple[int, int], ...]], dict[int, int]]:
        reader = Reader(Snapshot.from_doc(self._doc).encode())
        return _delete_set(reader), _state_vector(reader)


class _Listener:
    """An observer that states its signature: pycrdt inspects each one, which costs more than a document."""

    __signature__ = Signature([Parameter("event", Parameter.POSITIONAL_ONLY)])

    def __init__(self, handle: Callable[[MapEvent], None]) -> None:
        self._handle = handle

    def __call__(self, event: MapEvent) -> None:
        self._handle(event)


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
