"""Reads a batch of another member, bounded in every part, before the documents may see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cluster.common.cooperative import TimeSlice
from cluster.common.genesis import Genesis
from cluster.common.pin_codec import PinValue, decode_pin
from cluster.common.wire import MAX_VALUE_BYTES
from cluster.errors import BadUpdate
from cluster.pinset.batch import Batch
from cluster.pinset.yjs_update import MapEntry, Update, parse


@dataclass(frozen=True, slots=True)
class ForeignUpdate:
    """One document's update: its bytes, and what they do."""

    number: int
    data: bytes
    update: Update


@dataclass(frozen=True, slots=True)
class ForeignBatch:
    """Its updates, and what the entries in them say, by the bytes of the value."""

    updates: Sequence[ForeignUpdate]
    values: Mapping[bytes, PinValue]


async def read_foreign(batch: Batch, genesis: Genesis, time_slice: TimeSlice) -> ForeignBatch:
    """Raises BadUpdate for what our own writer would not make."""
    updates: list[ForeignUpdate] = []
    values: dict[bytes, PinValue] = {}
    client = batch.log.client
    for number, data in batch.updates:
        if number >> genesis.document_bits:
            raise BadUpdate(f"there is no document {number}")
        update = parse(data, client, MAX_VALUE_BYTES)
        for entry in update.entries:
            values[entry.value] = decode_pin(entry.value)
            _check_place(entry, number, genesis)
        updates.append(ForeignUpdate(number, data, update))
        await time_slice.yield_if_due()
    return ForeignBatch(updates, values)


def _check_place(entry: MapEntry, number: int, genesis: Genesis) -> None:
    # Without a CID it replaces an entry of the same client, whose place was checked when it came.
    if entry.cid is not None and genesis.document_of(entry.cid) != number:
        raise BadUpdate(f"the entry of {entry.cid} is in a document where it does not belong")
