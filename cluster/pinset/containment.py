"""A forked log contained: what it wrote is taken out of every document, and its pins are written again.

Members hold one of its two branches, or neither, so what its items are is not the same for all. A member that
holds them and may write makes their pins its own, with their stamps, and says again what its later batches
deleted; then all members come to the same documents, in which nothing of that log is left. A step is one
transaction, and says how far it came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from blockstore.cid import CID
from cluster.common.cooperative import TimeSlice
from cluster.common.pin_codec import decode_pin
from cluster.common.wire import MAX_VALUE_BYTES
from cluster.pinset.document_cache import OpenDocument
from cluster.pinset.documents.document import Document, Entries
from cluster.pinset.documents.void_clients import deletions_alone, without_clients
from cluster.pinset.documents.yjs_update import Deletion, Update, parse
from cluster.pinset.log.batch import MAX_BATCH_BYTES, MAX_BATCH_DOCUMENTS, AuthorLog, OpenedBatch
from cluster.pinset.tables.store import PinsetStore
from cluster.pinset.transaction import newest
from cluster.pinset.whole_transaction import WholeTransaction

SharedClocks = Mapping[int, Set[int]]
"""By document: clocks that the forked log used in more than one branch, as far as is known."""

DONE = b"."
# Which stage a place is in; behind it a sequence, or a number of a document.
_DELETIONS, _PINS, _DOCUMENTS = b"b", b"c", b"d"
_PAGE = 64  # documents


@dataclass(frozen=True, slots=True)
class ForkedLog:
    """Forked from `sequence` on, and contained up to `place`; `void` are the clients of all forked logs."""

    log: AuthorLog
    sequence: int
    place: bytes
    void: Set[int]
    shared: SharedClocks


@dataclass(frozen=True, slots=True)
class ContainmentStep:
    """Documents as they are to be, with what this node writes in them; and the place behind them."""

    place: bytes
    transaction: WholeTransaction = field(default_factory=lambda: WholeTransaction({}))


async def next_step(
    forked: ForkedLog, store: PinsetStore, client: int, rewriting: bool, time_slice: TimeSlice
) -> ContainmentStep:
    """`rewriting`: this node may write, as `client`."""
    stage, place = forked.place[:1], int.from_bytes(forked.place[1:])
    if stage == _PINS:
        step = await _pins(forked, place, store, client) if rewriting else None
        return step or ContainmentStep(_place(_DOCUMENTS, 0))
    if stage != _DOCUMENTS:
        step = await _deletions(forked, max(place, forked.sequence - 1), store) if rewriting else None
        return step or ContainmentStep(_place(_PINS, 0))
    numbers = await store.forks.documents_of(forked.log.client, place, _PAGE)
    if not numbers:
        return ContainmentStep(DONE)
    documents: dict[int, OpenDocument] = {}
    transaction = WholeTransaction(documents)
    for number, stored in zip(numbers, await store.documents(numbers), strict=True):
        states = [state for state in (stored.snapshot, *stored.updates) if state]
        kept = [without_clients(state, forked.void) for state in states]
        documents[number] = OpenDocument(number, client, b"", kept)
        lost = _lost(OpenDocument(number, client, b"", states).content, forked.void)
        update, _ = documents[number].content.write(_still_wanted(lost, forked.void) if rewriting else {})
        transaction.note(number, lost)
        if update:
            transaction.add(number, update, {})
        await time_slice.yield_if_due()
    return ContainmentStep(_place(_DOCUMENTS, numbers[-1] + 1), transaction)


def _place(stage: bytes, number: int) -> bytes:
    return stage + number.to_bytes(8)


async def _deletions(forked: ForkedLog, after: int, store: PinsetStore) -> ContainmentStep | None:
    """What the log's next batches here deleted of others; None behind the last."""
    deleted: dict[int, list[Deletion]] = {}
    for envelope in await store.batches([(forked.log, after)], MAX_BATCH_BYTES // 2):
        batch = OpenedBatch.read(envelope).batch
        if len(deleted) + len(batch.updates) > MAX_BATCH_DOCUMENTS:
            break
        after = batch.sequence
        for number, data in batch.updates:
            found = parse(data, forked.log.client, MAX_VALUE_BYTES).deletions
            deleted.setdefault(number, []).extend(one for one in found if one.client not in forked.void)
    else:
        if not deleted:
            return None
    step = ContainmentStep(_place(_DELETIONS, after))
    for number, deletions in deleted.items():
        if deletions:
            step.transaction.add(number, deletions_alone(deletions), {})
    return step


async def _pins(forked: ForkedLog, first: int, store: PinsetStore, client: int) -> ContainmentStep | None:
    """Write pins of our branch again whose items a deletion may have hit that meant the other branch's."""
    numbers = sorted(number for number in forked.shared if number >= first)[:_PAGE]
    if not numbers:
        return None
    wanted = await _in_doubt(forked, store, numbers)
    documents: dict[int, OpenDocument] = {}
    transaction = WholeTransaction(documents)
    for number, stored in zip(numbers, await store.documents(numbers), strict=True):
        document = OpenDocument(number, client, stored.snapshot, stored.updates)
        pins = wanted[number].items()
        gone = {cid: value for cid, value in pins if not document.content.entries(cid)}
        if gone:
            update, before = document.content.write(gone)
            documents[number] = document
            transaction.add(number, update, before)
    return ContainmentStep(_place(_PINS, numbers[-1] + 1), transaction)


async def _in_doubt(
    forked: ForkedLog, store: PinsetStore, numbers: Sequence[int]
) -> dict[int, dict[CID, bytes]]:
    """By document: pins of our branch under shared clocks, which the log itself did not remove again."""
    names: dict[tuple[int, int], CID] = {}
    alive: dict[int, dict[int, tuple[CID, bytes]]] = {number: {} for number in numbers}
    after = 0
    while envelopes := await store.batches([(forked.log, after)], MAX_BATCH_BYTES // 2):
        for batch in (OpenedBatch.read(envelope).batch for envelope in envelopes):
            after = batch.sequence
            for number, data in batch.updates:
                if number in alive:
                    update = parse(data, forked.log.client, MAX_VALUE_BYTES)
                    shared = forked.shared[number] if after >= forked.sequence else frozenset[int]()
                    _follow(update, number, shared, names, alive[number])
    return {number: dict(pins.values()) for number, pins in alive.items()}


def _follow(
    update: Update,
    number: int,
    shared: Set[int],
    names: dict[tuple[int, int], CID],
    alive: dict[int, tuple[CID, bytes]],
) -> None:
    """What an update of the log does to its own entries."""
    for deletion in update.deletions:
        if deletion.client == update.client:
            for clock in [one for one in alive if deletion.start <= one < deletion.end]:
                del alive[clock]
    for clock, entry in enumerate(update.entries, update.start):
        cid = entry.cid or names.get((number, -1 if entry.origin is None else entry.origin))
        if cid is not None:
            names[number, clock] = cid
            if clock in shared:
                alive[clock] = cid, entry.value


def _lost(document: Document, void: Set[int]) -> dict[CID, Entries]:
    """All entries of the CIDs of which those clients have one."""
    found = ((cid, document.entries(cid)) for cid in document.cids())
    return {cid: entries for cid, entries in found if void & entries.keys()}


def _still_wanted(lost: Mapping[CID, Entries], void: Set[int]) -> dict[CID, bytes | None]:
    """The pins that nothing else says as newly."""
    wanted: dict[CID, bytes | None] = {}
    for cid, entries in lost.items():
        value = newest({client: one for client, one in entries.items() if client in void})
        rest = newest({client: one for client, one in entries.items() if client not in void})
        if value is not None and (rest is None or decode_pin(rest).stamp < decode_pin(value).stamp):
            wanted[cid] = value
    return wanted
