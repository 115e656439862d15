"""One transaction of the pinset while it is put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from blockstore.cid import CID
from cluster.common.cooperative import TimeSlice
from cluster.common.genesis import Genesis
from cluster.common.wire import decode_pin
from cluster.interfaces import PinChange
from cluster.pinset.batch import AuthorLog, SignedBatch
from cluster.pinset.document import Entries
from cluster.pinset.document_cache import OpenDocument
from cluster.pinset.store import PinRow, pin_row


def newest(entries: Entries) -> bytes | None:
    """The value that decides a CID's pin: of the newest stamp, then of the highest client id."""
    if len(entries) < 2:
        return next(iter(entries.values()), None)
    return max(entries.items(), key=lambda entry: (decode_pin(entry[1]).stamp, entry[0]))[1]


@dataclass(frozen=True, slots=True)
class Resolution:
    """Changes to tell, rows to write, CIDs whose rows go."""

    changes: tuple[PinChange, ...]
    rows: tuple[PinRow, ...]
    removed: tuple[bytes, ...]


class Transaction:
    """Its documents are changed already, the disk is not."""

    def __init__(self, documents: Mapping[int, OpenDocument]) -> None:
        self.documents = documents
        self.updates: dict[int, list[bytes]] = {}
        self.before: dict[CID, Entries] = {}
        self.batches: list[SignedBatch] = []
        self.heads: dict[AuthorLog, int] = {}

    def add(self, number: int, update: bytes, before: Mapping[CID, Entries]) -> None:
        self.updates.setdefault(number, []).append(update)
        for cid, entries in before.items():
            self.before.setdefault(cid, entries)

    def add_batch(self, signed: SignedBatch) -> None:
        self.batches.append(signed)
        self.heads[signed.batch.log] = signed.batch.sequence

    async def resolve(self, genesis: Genesis, breath: TimeSlice) -> Resolution:
        """What the changed entries mean. Every CID without entries counts as removed."""
        changes, rows, removed = [], [], []
        for cid, before in self.before.items():
            value = newest(self.documents[genesis.document_of(cid)].content.entries(cid))
            if value is None:
                removed.append(bytes(cid))
                changes.append(PinChange(cid, None))
            elif value != newest(before):
                pin = decode_pin(value)
                rows.append(pin_row(bytes(cid), value, pin))
                changes.append(PinChange(cid, pin.pin(cid)))
            await breath.take()
        return Resolution(tuple(changes), tuple(rows), tuple(removed))
