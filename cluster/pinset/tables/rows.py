"""What the tables of the pinset hold, as values: documents, batches, heads, pins with their indexes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from cluster.common.pin_codec import PinValue
from cluster.pin import EVERYWHERE
from cluster.pinset.documents.clocks import NO_CLOCKS
from cluster.pinset.log.batch import AuthorLog, SignedBatch
from cluster.pinset.tables.live_entries import LiveEntries


@dataclass(frozen=True, slots=True)
class DigestSum:
    """Of a range of document numbers: how many there are, and the sums of both halves of their digests."""

    documents: int
    first: int
    second: int


DigestSums = Mapping[int, DigestSum]
"""By number >> shift; empty ranges are left out."""


class PinRow(NamedTuple):
    """A pin as it is indexed; `value` is the whole of it (pin_codec.decode_pin), `says` what it says."""

    cid: bytes
    value: bytes
    says: PinValue

    @property
    def created(self) -> float:
        """A whole second."""
        return whole_second(self.says.created)

    @property
    def everywhere(self) -> bool:
        return self.says.options.replication_max == EVERYWHERE

    @property
    def allocations(self) -> tuple[str, ...]:
        """None where every member is to hold it."""
        return () if self.everywhere else self.says.allocations

    @property
    def metadata(self) -> Mapping[str, str]:
        return self.says.options.metadata

    def cells(self) -> tuple[bytes, str, float | None, bytes, float, bool]:
        """Of the table `pins`."""
        options = self.says.options
        everywhere = options.replication_max == EVERYWHERE
        created = whole_second(self.says.created)
        return self.cid, options.name, options.expire_at, self.value, created, everywhere


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as it lies on disk: a snapshot, and the updates since."""

    snapshot: bytes
    updates: tuple[bytes, ...]


NO_DOCUMENT = StoredDocument(b"", ())


class DocumentOutline(NamedTuple):
    """What is known of a stored document without reading it: sizes in bytes, how many updates there are.

    `clocks` is None where the document was stored by a release that did not note them.
    """

    digest: int
    clocks: Mapping[int, int] | None
    snapshot_bytes: int
    updates: int
    update_bytes: int


NO_OUTLINE = DocumentOutline(0, NO_CLOCKS, 0, 0, 0)


class DocumentChange(NamedTuple):
    """`updates` to append from `position` on; or `snapshot`, in place of everything before."""

    number: int
    digest: int
    clocks: bytes  # as clocks.encode_clocks has them
    position: int
    updates: tuple[bytes, ...]
    snapshot: bytes | None


@dataclass(frozen=True, slots=True)
class BatchRow:
    log: AuthorLog
    sequence: int
    envelope: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """Everything one change of the pinset puts on disk. `removed`, `pins` and `added` never share a CID.

    `added` are pins whose CIDs no row is known of, neither as pinned nor as removed.
    """

    documents: tuple[DocumentChange, ...] = ()
    batches: tuple[BatchRow, ...] = ()
    pins: tuple[PinRow, ...] = ()
    added: tuple[PinRow, ...] = ()
    removed: tuple[bytes, ...] = ()
    facts: Mapping[str, bytes] = field(default_factory=dict)
    live: Mapping[int, LiveEntries] = field(default_factory=dict)  # by how much entries of a client change


@dataclass(frozen=True, slots=True)
class Head:
    """How far a log has come here; `arrival` orders heads by when they changed in this store.

    `begin` is the first batch that is still here, sequence + 1 when none is: the log is cut before it.
    `hash` is that of the batch at the head; empty where it was not kept.
    """

    log: AuthorLog
    sequence: int
    arrival: int
    begin: int
    hash: bytes


def whole_second(time: float) -> float:
    """What is indexed of the time of making: SQLite stores whole numbers in half the bytes."""
    return float(int(time))


def batch_row(signed: SignedBatch) -> BatchRow:
    return BatchRow(signed.batch.log, signed.batch.sequence, signed.envelope, signed.hash)
