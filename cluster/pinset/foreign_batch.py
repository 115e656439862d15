"""Reads a batch of another member, bounded in every part, before the documents may see it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from blockstore.cid import CID
from cluster.common.cooperative import TimeSlice
from cluster.common.genesis import Genesis
from cluster.common.pin_codec import PinValue, decode_pin
from cluster.common.wire import MAX_VALUE_BYTES
from cluster.errors import BadUpdate
from cluster.pinset.document_cache import Touched
from cluster.pinset.documents.void_clients import without_clients
from cluster.pinset.documents.yjs_update import MapEntry, Update, parse
from cluster.pinset.log.batch import Batch
from cluster.pinset.transaction import Transaction

_log = logging.getLogger(__name__)


class ForeignUpdate(NamedTuple):
    """One document's update: its bytes, and what they do."""

    number: int
    data: bytes
    update: Update


class UnusableBatch(Exception):
    """yrs refused an update half-way: documents of the transaction cannot be used any more."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(f"batch {batch.sequence} of {batch.log.author}")
        self.batch = batch


@dataclass(frozen=True, slots=True)
class ForeignBatch:
    """Its updates, and what the entries in them say, by the bytes of the value."""

    batch: Batch
    updates: Sequence[ForeignUpdate]
    values: Mapping[bytes, PinValue]

    def is_early(self, transaction: Transaction, *, tolerant: bool) -> bool:
        """Whether it deletes what is not here yet. Raises BadUpdate for clocks out of order.

        `tolerant`: documents taken from another member may hold it already.
        """
        documents = transaction.documents
        return any(
            documents[one.number].content.missing(one.update, tolerant=tolerant) for one in self.updates
        )

    async def apply(self, transaction: Transaction, time_slice: TimeSlice) -> None:
        """Change the transaction's documents. Raises UnusableBatch."""
        transaction.know(self.values)
        transaction.author = self.batch.log.author
        for one in self.updates:
            try:
                before = transaction.documents[one.number].content.apply(one.data, one.update)
            except BadUpdate as error:
                batch = self.batch
                _log.error("batch %d of %s is refused: %s", batch.sequence, batch.log.author, error)
                raise UnusableBatch(self.batch) from None
            transaction.add(one.number, one.data, before)
            if time_slice.is_due:
                await time_slice.rest()


async def touched_by(batches: Iterable[ForeignBatch], time_slice: TimeSlice) -> Touched:
    """What they do together. A CID that comes twice may be replaced by what came before."""
    cids: dict[int, list[CID]] = {}
    whole: set[int] = set()
    seen: set[CID] = set()
    for one in (update for batch in batches for update in batch.updates):
        new = [entry.cid for entry in one.update.entries if entry.cid is not None]
        cids.setdefault(one.number, []).extend(new)
        if one.update.replaces or len({*new}) < len(new) or not seen.isdisjoint(new):
            whole.add(one.number)
        seen.update(new)
        if time_slice.is_due:
            await time_slice.rest()
    return Touched(cids, whole)


async def read_foreign(
    batch: Batch, genesis: Genesis, time_slice: TimeSlice, void: Set[int] = frozenset()
) -> ForeignBatch:
    """Without what the `void` clients did. Raises BadUpdate for what our own writer would not make."""
    updates: list[ForeignUpdate] = []
    values: dict[bytes, PinValue] = {}
    client = batch.log.client
    for number, data in batch.updates:
        if number >> genesis.document_bits:
            raise BadUpdate(f"there is no document {number}")
        data = without_clients(data, void) if void else data
        update = parse(data, client, MAX_VALUE_BYTES)
        for entry in update.entries:
            values[entry.value] = decode_pin(entry.value)
            _check_place(entry, number, genesis)
        updates.append(ForeignUpdate(number, data, update))
        if time_slice.is_due:
            await time_slice.rest()
    return ForeignBatch(batch, updates, values)


def _check_place(entry: MapEntry, number: int, genesis: Genesis) -> None:
    # Without a CID it replaces an entry of the same client, whose place was checked when it came.
    if entry.cid is not None and genesis.document_of(entry.cid) != number:
        raise BadUpdate(f"the entry of {entry.cid} is in a document where it does not belong")
