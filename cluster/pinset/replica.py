"""Every change of the pinset passes here, one at a time: applied to documents, made durable, then told.

Own operations become a signed batch; foreign batches are read, bounded and gated. Either way one transaction
holds the documents' updates, the rows, the batch and the log's new head. Where that transaction fails, the
documents it touched are forgotten, so memory never runs ahead of the disk.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from random import Random
from typing import TypeVar

from blockstore.cid import CID
from cluster.common.cooperative import Slices, TimeSlice
from cluster.common.genesis import Genesis
from cluster.common.hybrid_clock import HybridClock
from cluster.common.wire import MAX_VALUE_BYTES, decode_pin, encode_pin
from cluster.errors import BadUpdate
from cluster.interfaces import PinChange
from cluster.pin import Pin
from cluster.pinset.batch import MAX_BATCH_BYTES, AuthorLog, Batch, SignedBatch, new_epoch, read, sign
from cluster.pinset.document import NO_ENTRIES
from cluster.pinset.document_cache import DocumentCache, OpenDocument
from cluster.pinset.store import BatchRow, Commit, DigestSum, Head, PinsetStore
from cluster.pinset.transaction import Transaction, newest
from cluster.pinset.yjs_update import Update, parse
from cluster.ports import Signer

T = TypeVar("T")
_logger = logging.getLogger(__name__)
_STAMP_FACT = "stamp"


class Verdict(Enum):
    """What became of a foreign batch."""

    APPLIED = auto()
    KNOWN = auto()  # already here
    EARLY = auto()  # earlier batches of its log, or items that it deletes, are not here yet
    REFUSED = auto()  # breaks the rules; its log goes no further here


@dataclass(frozen=True, slots=True)
class PinWrite:
    """A wish of this node's own users: that pin, or no pin."""

    cid: CID
    pin: Pin | None


@dataclass(frozen=True, slots=True)
class Written:
    """`before` holds each operation's pin as it was just before; `batch` is None when nothing changed."""

    before: tuple[Pin | None, ...]
    batch: SignedBatch | None


ParsedUpdates = Sequence[tuple[int, bytes, Update]]


class Replica:
    """The one writer of the pinset. `tell` hears of changes after they are durable."""

    def __init__(
        self,
        store: PinsetStore,
        genesis: Genesis,
        signer: Signer,
        clock: HybridClock,
        heads: Mapping[AuthorLog, int],
        tell: Callable[[Sequence[PinChange]], None],
        chance: Random,
        slices: Slices,
    ) -> None:
        self._chance = chance
        self._slices = slices
        self._store = store
        self._genesis = genesis
        self._signer = signer
        self._clock = clock
        self._heads = dict(heads)
        self._tell = tell
        self._documents = DocumentCache(store)
        self._turn = asyncio.Lock()
        self._turns = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._log = AuthorLog(signer.peer_id, new_epoch(self._chance))

    @property
    def log(self) -> AuthorLog:
        """The log that our own batches go to."""
        return self._log

    def head(self, log: AuthorLog) -> int:
        """The last batch of that log that is applied here; 0 before the first."""
        return self._heads.get(log, 0)

    def heads_digest(self) -> bytes:
        """Equal on two members exactly when they have the same batches."""
        heads = sorted((log.author, log.epoch, sequence) for log, sequence in self._heads.items())
        return hashlib.sha256(repr(heads).encode()).digest()

    async def write(self, operations: Sequence[PinWrite]) -> Written:
        """Make these durable, in order, as one batch of ours."""
        return await self._alone(lambda: self._write(operations))

    async def admit(self, batches: Sequence[SignedBatch]) -> list[Verdict]:
        """Apply foreign batches whose signatures were checked, in order, in one transaction."""
        return await self._alone(lambda: self._admit(batches))

    async def begin_epoch(self) -> None:
        """Write under a new client id from now on: somebody has seen more of this epoch than we have."""
        await self._alone(self._begin_epoch)

    async def digest_sums(self, first: int, last: int, shift: int) -> tuple[bytes, Mapping[int, DigestSum]]:
        """PinsetStore.digest_sums, and the digest of the heads that they belong to."""

        async def work() -> tuple[bytes, Mapping[int, DigestSum]]:
            return self.heads_digest(), await self._store.digest_sums(first, last, shift)

        return await self._alone(work)

    async def rebuild(self, numbers: frozenset[int]) -> None:
        """Make these documents and their rows again from the signed log."""
        await self._alone(lambda: self._rebuild(numbers))

    async def _alone(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run `work` after what came before, to its end, even when the caller goes away meanwhile."""

        async def turn() -> T:
            async with self._turn:
                return await work()

        self._quiet.clear()
        task = asyncio.ensure_future(turn())
        self._turns += 1
        task.add_done_callback(self._turn_ended)
        return await asyncio.shield(task)

    def _turn_ended(self, _: asyncio.Future[T]) -> None:
        self._turns -= 1
        if not self._turns:
            self._quiet.set()

    async def settled(self) -> None:
        """Wait for work whose callers have gone away."""
        await self._quiet.wait()

    async def _begin_epoch(self) -> None:
        self._log = AuthorLog(self._signer.peer_id, new_epoch(self._chance))
        self._documents.forget_all()

    async def _write(self, operations: Sequence[PinWrite]) -> Written:
        breath = self._slices()
        numbers = {self._genesis.document_of(operation.cid) for operation in operations}
        draft = Transaction(await self._documents.load(numbers, self._log.client, breath))
        before, changes = await self._plan(draft, operations, breath)
        stamp = self._clock.tick()
        try:
            for number, wanted in sorted(changes.items()):
                values = {cid: encode_pin(pin, stamp) if pin else None for cid, pin in wanted.items()}
                update, entries = draft.documents[number].content.write(values)
                if update:
                    draft.add(number, update, entries)
                await breath.take()
            signed = self._sign(draft, stamp) if draft.updates else None
            await self._commit(draft, breath)
        except BaseException:
            # Whether the disk has it is not known for sure: these clocks are never used again.
            await self._begin_epoch()
            raise
        return Written(before, signed)

    async def _plan(
        self, draft: Transaction, operations: Sequence[PinWrite], breath: TimeSlice
    ) -> tuple[tuple[Pin | None, ...], Mapping[int, Mapping[CID, Pin | None]]]:
        """Each operation's pin as it found it, and by document what is left to do when all are done."""
        before = []
        latest: dict[CID, Pin | None] = {}
        changes: dict[int, dict[CID, Pin | None]] = {}
        for operation in operations:
            cid, number = operation.cid, self._genesis.document_of(operation.cid)
            if cid not in latest:
                value = newest(draft.documents[number].content.entries(cid))
                latest[cid] = decode_pin(value).pin(cid) if value is not None else None
            before.append(latest[cid])
            latest[cid] = operation.pin
            changes.setdefault(number, {})[cid] = operation.pin
            await breath.take()
        return tuple(before), changes

    def _sign(self, draft: Transaction, stamp: int) -> SignedBatch:
        updates = tuple((number, parts[0]) for number, parts in sorted(draft.updates.items()))
        batch = Batch(self._log, self.head(self._log) + 1, stamp, updates)
        signed = sign(batch, self._genesis.cluster_id, self._signer)
        draft.add_batch(signed)
        return signed

    async def _admit(self, batches: Sequence[SignedBatch]) -> list[Verdict]:
        breath = self._slices()
        refused: set[int] = set()
        while True:
            numbers = {
                number
                for signed in batches
                if signed.batch.sequence > self.head(signed.batch.log)
                for number, _ in signed.batch.updates
                if not number >> self._genesis.document_bits
            }
            draft = Transaction(await self._documents.load(numbers, self._log.client, breath))
            try:
                verdicts = []
                for index, signed in enumerate(batches):
                    verdict = (
                        Verdict.REFUSED if index in refused else await self._judge(draft, signed, breath)
                    )
                    verdicts.append(verdict)
                await self._commit(draft, breath)
            except _Spoilt as spoilt:
                self._documents.forget(draft.documents)
                refused.add(next(i for i, signed in enumerate(batches) if signed is spoilt.batch))
            except BaseException:
                self._documents.forget(draft.documents)
                raise
            else:
                return verdicts

    async def _judge(self, draft: Transaction, signed: SignedBatch, breath: TimeSlice) -> Verdict:
        batch = signed.batch
        head = draft.heads.get(batch.log, self.head(batch.log))
        if batch.sequence <= head:
            return Verdict.KNOWN
        if batch.sequence > head + 1:
            return Verdict.EARLY
        try:
            updates = await self._read(batch, breath)
            if any(draft.documents[number].content.missing(update) for number, _, update in updates):
                return Verdict.EARLY
        except BadUpdate as error:
            _logger.warning("batch %d of %s is refused: %s", batch.sequence, batch.log.author, error)
            return Verdict.REFUSED
        await self._apply(draft, signed, updates, breath)
        return Verdict.APPLIED

    async def _read(self, batch: Batch, breath: TimeSlice) -> ParsedUpdates:
        """Every update of a batch, read and bounded. Raises BadUpdate."""
        updates = []
        client = batch.log.client
        for number, data in batch.updates:
            if number >> self._genesis.document_bits:
                raise BadUpdate(f"there is no document {number}")
            update = parse(data, client, MAX_VALUE_BYTES)
            for entry in update.entries:
                decode_pin(entry.value)
                # Without a CID it replaces an entry of the same client, whose place was checked when it came.
                if entry.cid is not None and self._genesis.document_of(entry.cid) != number:
                    raise BadUpdate(f"the entry of {entry.cid} is in a document where it does not belong")
            updates.append((number, data, update))
            await breath.take()
        return updates

    async def _apply(
        self, draft: Transaction, signed: SignedBatch, updates: ParsedUpdates, breath: TimeSlice
    ) -> None:
        for number, data, update in updates:
            try:
                before = draft.documents[number].content.apply(data, update)
            except BadUpdate as error:
                _logger.error(
                    "batch %d of %s is refused: %s", signed.batch.sequence, signed.batch.log.author, error
                )
                raise _Spoilt(signed) from None
            draft.add(number, data, before)
            await breath.take()
        draft.add_batch(signed)
        self._clock.observe(signed.batch.stamp)

    async def _rebuild(self, numbers: frozenset[int]) -> None:
        breath = self._slices()
        old = await self._documents.load(numbers, self._log.client, breath)
        lost = {cid for document in old.values() for cid in document.content.cids()}
        self._documents.forget(numbers)
        draft = Transaction({number: OpenDocument(number, self._log.client, b"", ()) for number in numbers})
        arrival = 0
        while page := await self._store.batches_after(arrival, MAX_BATCH_BYTES):
            for _, envelope in page:
                self._replay(draft, read(envelope))
                await breath.take()
            arrival = page[-1][0]
        draft.before = dict.fromkeys(
            lost.union(*(document.content.cids() for document in draft.documents.values())), NO_ENTRIES
        )
        result = await draft.resolve(self._genesis, breath)
        documents = tuple(document.store_whole() for document in draft.documents.values())
        await self._store.commit(Commit(documents=documents, pins=result.rows, removed=result.removed))
        self._tell(result.changes)

    def _replay(self, draft: Transaction, batch: Batch) -> None:
        for number, data in batch.updates:
            if number in draft.documents:
                update = parse(data, batch.log.client, MAX_VALUE_BYTES)
                draft.documents[number].content.apply(data, update)

    async def _commit(self, draft: Transaction, breath: TimeSlice) -> None:
        if not draft.batches:
            return
        documents = []
        for number, parts in draft.updates.items():
            documents.append(draft.documents[number].store(parts))
            await breath.take()
        result = await draft.resolve(self._genesis, breath)
        await self._store.commit(
            Commit(
                documents=tuple(documents),
                batches=tuple(
                    BatchRow(signed.batch.log, signed.batch.sequence, signed.envelope)
                    for signed in draft.batches
                ),
                pins=result.rows,
                removed=result.removed,
                facts={_STAMP_FACT: self._clock.last.to_bytes(8)},
            )
        )
        self._heads.update(draft.heads)
        self._tell(result.changes)


class _Spoilt(Exception):
    """yrs refused an update half-way: the documents of this draft cannot be used any more."""

    def __init__(self, batch: SignedBatch) -> None:
        super().__init__()
        self.batch = batch


async def stored_clock(store: PinsetStore, now: Callable[[], float]) -> HybridClock:
    """The clock, behind no stamp that it issued before."""
    return HybridClock(now, int.from_bytes((await store.facts()).get(_STAMP_FACT, b"")))


async def open_ledger(
    store: PinsetStore,
    genesis: Genesis,
    signer: Signer,
    clock: HybridClock,
    tell: Callable[[Sequence[PinChange]], None],
    chance: Random,
    slices: Slices = TimeSlice,
) -> Replica:
    """The ledger as the store left it, with a new epoch, drawn by `chance`, for what will be written."""
    heads: list[Head] = []
    while page := await store.heads(heads[-1].arrival if heads else 0, 4096):
        heads += page
    known = {head.log: head.sequence for head in heads}
    return Replica(store, genesis, signer, clock, known, tell, chance, slices)
