"""Documents made again from the signed log: applying batches in their order of arrival is deterministic."""

from __future__ import annotations

from collections.abc import Collection, Set

from cluster.common.cooperative import TimeSlice
from cluster.common.wire import MAX_VALUE_BYTES
from cluster.errors import BadUpdate
from cluster.pinset.document_cache import OpenDocument
from cluster.pinset.documents.void_clients import without_clients
from cluster.pinset.documents.yjs_update import parse
from cluster.pinset.log.batch import MAX_BATCH_BYTES, Batch, OpenedBatch
from cluster.pinset.tables.store import PinsetStore
from cluster.pinset.whole_transaction import WholeTransaction


async def replayed(
    store: PinsetStore, numbers: Collection[int], client: int, time_slice: TimeSlice, void: Set[int]
) -> WholeTransaction:
    """These documents as the whole log makes them, without `void` clients; further writes are `client`'s."""
    transaction = WholeTransaction({number: OpenDocument(number, client, b"", ()) for number in numbers})
    await replay_onto(transaction, store, time_slice, void)
    return transaction


async def replay_onto(
    transaction: WholeTransaction, store: PinsetStore, time_slice: TimeSlice, void: Set[int]
) -> None:
    """Apply what the log has of the transaction's documents, and what they do not hold yet.

    Nothing of the clients that are `void`.
    Raises BadUpdate where the log lacks what its batches build on.
    """
    arrival = 0
    while page := await store.batches_after(arrival, MAX_BATCH_BYTES):
        for _, envelope in page:
            _replay(transaction, OpenedBatch.read(envelope).batch, void)
            await time_slice.yield_if_due()
        arrival = page[-1][0]


def _replay(transaction: WholeTransaction, batch: Batch, void: Set[int]) -> None:
    for number, data in batch.updates:
        if number in transaction.documents:
            data = without_clients(data, void) if void else data
            update = parse(data, batch.log.client, MAX_VALUE_BYTES)
            content = transaction.documents[number].content
            if content.missing(update, tolerant=True):
                raise BadUpdate(f"document {number} cannot be made from the log: it lacks what was removed")
            content.apply(data, update)
