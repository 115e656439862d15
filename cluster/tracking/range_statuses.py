"""The statuses of a key range at once: what is as it should be by set difference, the rest one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from blockstore.cid import CID
from cluster.common.cooperative import TimeSlice
from cluster.context import ClusterContext
from cluster.errors import BadUpdate
from cluster.pin import KeyRange, PinInfo, PinMode, Status
from cluster.ports import AttemptStore, LocalPins
from cluster.tracking.backlog import Backlog
from cluster.tracking.range_facts import RangeFacts, RangeReader
from cluster.tracking.status import PinView, StatusRow, pin_info
from cluster.tracking.status_columns import PinnedColumns, RemoteColumns, StatusColumns

_READINGS = 4
"""Of a range at most: a CID whose operations changed in each of them is shown as the last one saw it."""


@dataclass(frozen=True, slots=True)
class _Sorted:
    """The CIDs of a range: `pinned` and `remote` need no word more, `others` a status each."""

    pinned: list[bytes]
    remote: list[bytes]
    others: list[bytes]


class RangeStatuses:
    """Computes them from facts; those that may be of different times are read again."""

    def __init__(
        self, context: ClusterContext, pins: LocalPins, attempts: AttemptStore, backlog: Backlog
    ) -> None:
        self._context = context
        self._backlog = backlog
        self._reader = RangeReader(context.pinset, pins, attempts, backlog.queue)

    async def read(self, wanted: frozenset[Status], keys: KeyRange, limit: int) -> StatusColumns:
        """Those of the wanted statuses, at most `limit`; the range may end sooner. `unpinned` is not listed.

        Raises PinFailed, BadUpdate.
        """
        facts = _at_most(limit, await self._facts(keys, limit))
        found = _sorted(self._context.peer, facts)
        infos = await self._infos(found.others, facts)
        return StatusColumns(
            _pinned(found.pinned, facts) if Status.PINNED in wanted else PinnedColumns(),
            _remote(found.remote, facts) if Status.REMOTE in wanted else RemoteColumns(),
            _rows(infos, wanted - {Status.UNPINNED}),
            facts.keys.until,
        )

    async def _facts(self, keys: KeyRange, limit: int) -> RangeFacts:
        """Of each CID such as were so at one time.

        What is wished and not here is read twice: the operation that says so is queued after the pin is
        written.
        """
        facts = await self._reader.read(keys, limit)
        doubtful = facts.touched | self._missing(facts)
        for _ in range(_READINGS - 1):
            if not doubtful:
                break
            facts = facts.corrected(await self._reader.read(facts.keys, limit), doubtful)
            doubtful = facts.touched
        return facts

    def _missing(self, facts: RangeFacts) -> frozenset[bytes]:
        """Those that would be `unexpectedly_unpinned`."""
        if self._backlog.behind:
            return frozenset()
        others = _sorted(self._context.peer, facts).others
        known = facts.attempts.keys() | facts.operations.keys() | facts.odd.keys()
        return frozenset(key for key in others if key not in known)

    async def _infos(self, keys: Iterable[bytes], facts: RangeFacts) -> dict[bytes, PinInfo]:
        time_slice = TimeSlice()
        infos: dict[bytes, PinInfo] = {}
        for key in keys:
            odd = facts.odd.get(key)
            infos[key] = self._info(facts.view(key)) if odd is None else self._unreadable(odd)
            await time_slice.yield_if_due()
        return infos

    def _info(self, view: PinView) -> PinInfo:
        view = replace(view, behind=self._backlog.behind)
        return pin_info(self._context.peer, self._context.name, view, self._context.now())

    def _unreadable(self, error: BadUpdate) -> PinInfo:
        status = Status.CLUSTER_ERROR
        return PinInfo(self._context.peer, self._context.name, status, self._context.now(), str(error))


def _at_most(limit: int, facts: RangeFacts) -> RangeFacts:
    """The range, ended where it has `limit` CIDs that may be listed."""
    listed = {*facts.pins, *facts.odd, *facts.attempts, *facts.operations}
    return facts if len(listed) <= limit else facts.cut(sorted(listed)[limit - 1])


def _sorted(peer: str, facts: RangeFacts) -> _Sorted:
    busy = facts.operations.keys() | facts.attempts.keys()
    held = {key: one.mode == PinMode.RECURSIVE for key, one in facts.pins.items() if one.held_by(peer)}
    whole = {key for key, root in facts.roots.items() if root.complete and root.recursive}
    alone = {key for key, root in facts.roots.items() if root.complete and not root.recursive}
    fine = whole & held.keys() | {key for key in alone & held.keys() if not held[key]}
    pinned = fine - busy
    return _Sorted(
        pinned=sorted(pinned),
        remote=sorted(facts.pins.keys() - held.keys() - busy),
        others=sorted((held.keys() - pinned) | busy | facts.odd.keys()),
    )


def _pinned(cids: list[bytes], facts: RangeFacts) -> PinnedColumns:
    roots = [facts.roots[key] for key in cids]
    return PinnedColumns(
        cids,
        [facts.pins[key].created for key in cids],
        [root.blocks for root in roots],
        [root.size for root in roots],
    )


def _remote(cids: list[bytes], facts: RangeFacts) -> RemoteColumns:
    return RemoteColumns(cids, [facts.pins[key].created for key in cids])


def _rows(infos: Mapping[bytes, PinInfo], wanted: frozenset[Status]) -> tuple[StatusRow, ...]:
    return tuple(StatusRow(CID.decode(key), info) for key, info in infos.items() if info.status in wanted)
