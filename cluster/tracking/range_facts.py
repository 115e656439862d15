"""The facts about a key range from which its statuses follow: pinset, attempts, local pins, operations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from blockstore.cid import CID
from cluster.common.pin_glance import PinGlance, glances
from cluster.errors import BadUpdate
from cluster.interfaces import PinsetReader
from cluster.pin import KeyRange, Pin, PinMode, PinOptions
from cluster.ports import Attempt, AttemptStore, LocalPin, LocalPins, LocalRoots
from cluster.tracking.operation import Operation
from cluster.tracking.operation_queue import OperationQueue
from cluster.tracking.status import PinView

T = TypeVar("T")

_ROOTS = 4  # local pins read for one pin of the pinset: those that are in no list of pins are passed over
_FEW = 1000  # operations that are looked through for a range; of more, those of its CIDs are looked up


class RootCounts(NamedTuple):
    recursive: int
    complete: int
    blocks: int
    size: int


@dataclass(frozen=True, slots=True)
class RangeFacts:
    """By the CIDs' bytes, all there are of the range. `odd` says why a pin cannot be read.

    An operation of each of `touched` began, ended or changed while this was read: of these CIDs it may be
    what never was so at one time.
    """

    keys: KeyRange
    pins: Mapping[bytes, PinGlance]
    odd: Mapping[bytes, BadUpdate]
    attempts: Mapping[bytes, Attempt]
    roots: Mapping[bytes, RootCounts]
    operations: Mapping[bytes, Operation]
    touched: frozenset[bytes] = frozenset()

    def cut(self, until: bytes) -> RangeFacts:
        """Those of the range that ends there at the latest."""
        if until >= self.keys.until:
            return self
        return RangeFacts(
            self.keys.cut(until),
            _up_to(until, self.pins),
            _up_to(until, self.odd),
            _up_to(until, self.attempts),
            _up_to(until, self.roots),
            _up_to(until, self.operations),
            frozenset(key for key in self.touched if key <= until),
        )

    def corrected(self, later: RangeFacts, of: Collection[bytes]) -> RangeFacts:
        """With the later ones of these CIDs, up to where those reach."""
        facts = self.cut(later.keys.until)
        return RangeFacts(
            facts.keys,
            _corrected(facts.pins, later.pins, of),
            _corrected(facts.odd, later.odd, of),
            _corrected(facts.attempts, later.attempts, of),
            _corrected(facts.roots, later.roots, of),
            _corrected(facts.operations, later.operations, of),
            later.touched & frozenset(of),
        )

    def view(self, key: bytes) -> PinView:
        """What a status is computed from; of the pin, what a status depends on."""
        cid, pin, root = CID.decode(key), self.pins.get(key), self.roots.get(key)
        return PinView(
            None if pin is None else _pin(cid, pin),
            None if root is None else _local(cid, root),
            self.operations.get(key),
            self.attempts.get(key),
        )


def _pin(cid: CID, seen: PinGlance) -> Pin:
    options = PinOptions(mode=PinMode(seen.mode), replication_max=seen.replication_max)
    return Pin(cid, options, tuple(seen.allocations), seen.created)


def _local(cid: CID, root: RootCounts) -> LocalPin:
    return LocalPin(cid, bool(root.complete), root.blocks, root.size, bool(root.recursive))


def _up_to(until: bytes, facts: Mapping[bytes, T]) -> dict[bytes, T]:
    return {key: fact for key, fact in facts.items() if key <= until}


def _corrected(facts: Mapping[bytes, T], later: Mapping[bytes, T], of: Collection[bytes]) -> dict[bytes, T]:
    kept = {key: fact for key, fact in facts.items() if key not in of}
    return kept | {key: later[key] for key in of if key in later}


class RangeReader:
    """Reads all of them, a trip each."""

    def __init__(
        self, pinset: PinsetReader, pins: LocalPins, attempts: AttemptStore, queue: OperationQueue
    ) -> None:
        self._pinset = pinset
        self._pins = pins
        self._attempts = attempts
        self._queue = queue

    async def read(self, keys: KeyRange, limit: int) -> RangeFacts:
        """At most `limit` pins; the range may end sooner. Raises PinFailed, BadUpdate."""
        with self._queue.watched() as touched:
            stored = await self._pinset.stored(keys, limit)
            whole = keys.cut(stored.until)
            failing = await self._attempts.within(whole, limit)
            if len(failing) == limit:
                whole = whole.cut(bytes(failing[-1].cid))
            found = await self._pins.within(whole, _ROOTS * limit)
        pins, odd = glances(stored, stored.until)
        attempts = {bytes(attempt.cid): attempt for attempt in failing}
        roots = _counts(found)
        operations = self._operations(keys, {*pins, *attempts, *roots})
        facts = RangeFacts(keys, pins, odd, attempts, roots, operations, _in(keys, touched))
        return facts.cut(whole.cut(found.until).until)

    def _operations(self, keys: KeyRange, known: Collection[bytes]) -> dict[bytes, Operation]:
        """Those of the range that could show: what waits concerns a pin, a local one, or a failed attempt."""
        found: Iterable[Operation] = self._queue.operations()
        if len(self._queue) > _FEW:
            waiting = (self._queue.get(CID.decode(key)) for key in known)
            found = [*(one for one in waiting if one is not None), *self._queue.started()]
        keyed = ((bytes(one.cid), one) for one in found)
        return {key: one for key, one in keyed if keys.after < key <= keys.until}


def _in(keys: KeyRange, cids: Iterable[CID]) -> frozenset[bytes]:
    return frozenset(key for cid in cids if keys.after < (key := bytes(cid)) <= keys.until)


def _counts(roots: LocalRoots) -> dict[bytes, RootCounts]:
    rows = zip(roots.recursive, roots.complete, roots.blocks, roots.sizes, strict=True)
    return dict(zip(roots.cids, map(RootCounts._make, rows), strict=True))
