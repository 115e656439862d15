"""What this member knows of one CID, or of all of them in order: the facts a status is computed from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import reduce
from heapq import nsmallest
from operator import itemgetter

from blockstore.cid import CID
from cluster.common.sorted_merge import merge
from cluster.interfaces import PinQuery, PinsetReader
from cluster.ports import AttemptStore, LocalPins
from cluster.tracking.operation_queue import OperationQueue
from cluster.tracking.status import PinView


class PinViews:
    """Reads pinset, local pins, attempts and operations side by side."""

    def __init__(
        self, pinset: PinsetReader, pins: LocalPins, attempts: AttemptStore, queue: OperationQueue
    ) -> None:
        self._pinset = pinset
        self._pins = pins
        self._attempts = attempts
        self._queue = queue

    async def one(self, cid: CID) -> PinView:
        """What is known of the CID now. An operation that ends while we read still counts as running."""
        (view,) = await self.many([cid])
        return view

    async def many(self, cids: Sequence[CID]) -> list[PinView]:
        """`one` of each, in order."""
        before = [self._queue.get(cid) for cid in cids]
        pins = await self._pinset.get_many(cids)
        attempts = await self._attempts.get_many(cids)
        local = await self._pins.get_many(cids)
        views = map(PinView, pins, local, map(self._queue.get, cids), attempts)
        return [
            view if view.operation or view.holds else replace(view, operation=operation)
            for view, operation in zip(views, before, strict=True)
        ]

    async def active(self, after: CID | None, limit: int) -> list[tuple[CID, PinView]]:
        """The first behind `after` that are worked on or failing: no walk over the pinset."""
        start = bytes(after) if after else b""
        failing = {bytes(one.cid): one.cid for one in await self._attempts.page(after, limit)}
        keyed = ((bytes(one.cid), one.cid) for one in self._queue.operations())
        working = dict(nsmallest(limit, (pair for pair in keyed if pair[0] > start), key=itemgetter(0)))
        cids = [cid for _, cid in nsmallest(limit, (failing | working).items(), key=itemgetter(0))]
        return list(zip(cids, await self.many(cids), strict=True))

    async def difference(self, peer: str) -> AsyncIterator[tuple[CID, PinView]]:
        """Where the pins wished of that member and its store disagree."""
        async for cid, views in merge([self._wished(PinQuery(held_by=peer)), self._held()]):
            view = reduce(_joined, views)
            if not view.holds if view.pin is not None else view.local is not None:
                yield cid, view

    async def _wished(self, query: PinQuery) -> AsyncIterator[tuple[CID, PinView]]:
        async for pin in self._pinset.pins(query):
            yield pin.cid, PinView(pin=pin)

    async def _held(self) -> AsyncIterator[tuple[CID, PinView]]:
        async for local in self._pins.pinned():
            yield local.cid, PinView(local=local)


def _joined(one: PinView, other: PinView) -> PinView:
    return PinView(
        one.pin or other.pin,
        one.local or other.local,
        one.operation or other.operation,
        one.attempt or other.attempt,
    )
