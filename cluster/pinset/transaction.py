"""One transaction of the pinset while it is put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from blockstore.cid import CID
from cluster.common.cooperative import TimeSlice
from cluster.common.owners import united
from cluster.common.pin_codec import EncodedPin, PinValue, decode_pin, encode_value
from cluster.errors import BadPinValue
from cluster.interfaces import PinChange
from cluster.pinset.document_cache import AnyDocument
from cluster.pinset.documents.document import Entries
from cluster.pinset.log.batch import AuthorLog, SignedBatch
from cluster.pinset.tables.live_entries import EntryCounter
from cluster.pinset.tables.rows import Commit, PinRow, batch_row


def newest(entries: Entries) -> bytes | None:
    """The value that decides a CID's pin: of the newest stamp, then of the highest client id.

    It is kept for the owners of every entry: those that pinned at once knew nothing of each other.
    """
    if len(entries) < 2:
        return next(iter(entries.values()), None)
    values = {client: decode_pin(value) for client, value in entries.items()}
    newest = max(values, key=lambda client: (values[client].stamp, client))
    return _for_all_owners(values.pop(newest), entries[newest], [*values.values()])


def _for_all_owners(decided: PinValue, value: bytes, others: Sequence[PinValue]) -> bytes:
    """That value, of a pin that is kept for the owners of the entries beside it, too."""
    options = decided.options
    metadata = united(options.metadata, [other.options.metadata for other in others])
    if metadata is options.metadata:
        return value
    try:
        return encode_value(decided._replace(options=options._replace(metadata=metadata)))
    except BadPinValue:  # more owners than a pin has room for: those of the newest entry
        return value


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a transaction puts on disk, and what is to be reported once it is there."""

    commit: Commit
    changes: tuple[PinChange, ...]


class Transaction:
    """Its documents are changed already, the disk is not."""

    def __init__(self, documents: Mapping[int, AnyDocument], author: str = "") -> None:
        """`author` is the member that what is added next is of; empty: of no single one."""
        self.documents = documents
        self.author = author
        self.updates: dict[int, list[bytes]] = {}
        self.batches: list[SignedBatch] = []
        self.heads: dict[AuthorLog, int] = {}
        self.hashes: dict[AuthorLog, bytes] = {}
        self._before: dict[CID, tuple[int, Entries]] = {}
        self._authors: dict[CID, str] = {}
        self._values: dict[bytes, PinValue] = {}

    def encode(self, pin: EncodedPin | None, stamp: int) -> bytes | None:
        """The entry value of a pin that is written now."""
        if pin is None:
            return None
        value = pin.stamped(stamp)
        self._values[value] = pin.value.stamped(stamp)
        return value

    def know(self, values: Mapping[bytes, PinValue]) -> None:
        """What these entry values say: they need not be decoded again."""
        self._values |= values

    def add(self, number: int, update: bytes, before: Mapping[CID, Entries]) -> None:
        """That document has been changed by `update`; its changed CIDs' entries were `before`."""
        self.updates.setdefault(number, []).append(update)
        self.note(number, before)

    def note(self, number: int, before: Mapping[CID, Entries]) -> None:
        """The entries of these CIDs of a document may have changed: as they were."""
        for cid, entries in before.items():
            self._before.setdefault(cid, (number, entries))
        self._authors |= dict.fromkeys(before, self.author)

    def add_batch(self, signed: SignedBatch) -> None:
        self.batches.append(signed)
        self.heads[signed.batch.log] = signed.batch.sequence
        self.hashes[signed.batch.log] = signed.hash

    async def outcome(self, facts: Mapping[str, bytes], time_slice: TimeSlice) -> Outcome:
        """Of the batches that were added; `facts` are written with them."""
        documents = []
        for number, parts in self.updates.items():
            documents.append(self.documents[number].store(parts))
            if time_slice.is_due:
                await time_slice.rest()
        commit = Commit(tuple(documents), tuple(map(batch_row, self.batches)), facts=facts)
        return await self._resolved(commit, time_slice)

    async def _resolved(self, commit: Commit, time_slice: TimeSlice) -> Outcome:
        """With what the changed entries mean. Every CID without entries counts as removed."""
        changes: list[PinChange] = []
        rows: list[PinRow] = []
        added: list[PinRow] = []
        removed: list[bytes] = []
        live = EntryCounter()
        for cid, (number, before) in self._before.items():
            document = self.documents[number]
            entries = document.content.entries(cid)
            live.changed(before, entries)
            value, earlier = newest(entries), newest(before)
            author = self._authors.get(cid, "")
            if value is None:
                removed.append(bytes(cid))
                changes.append(PinChange(cid, None, earlier, author))
            elif value != earlier:
                pin = self._values.get(value) or decode_pin(value)
                (added if document.only_adds else rows).append(PinRow(bytes(cid), value, pin))
                changes.append(PinChange(cid, pin.pin(cid), earlier, author))
            if time_slice.is_due:
                await time_slice.rest()
        return Outcome(
            replace(commit, pins=tuple(rows), added=tuple(added), removed=tuple(removed), live=live.result()),
            tuple(changes),
        )
