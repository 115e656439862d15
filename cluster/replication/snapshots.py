"""Snapshots: a member starts from the documents of a trusted one where the log would be too long, or is cut.

It goes on where it stopped, with any donor, and the log takes over at its end. Reads are served meanwhile,
and so are writes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from cluster.errors import SnapshotUnavailable
from cluster.pinset.adoption import Merge
from cluster.ports import CallFailed
from cluster.replication.context import ReplicationContext
from cluster.replication.snapshot_donor import ReadPage, SnapshotDonor
from cluster.replication.snapshot_limits import SnapshotLimits

_log = logging.getLogger(__name__)


class Snapshots:
    """Decides when one is taken, and takes it."""

    def __init__(
        self,
        context: ReplicationContext,
        introduce: Callable[[str], Awaitable[None]],
        limits: SnapshotLimits,
    ) -> None:
        """`introduce` shows a member that we are one too, when it does not know us."""
        self._introduce = introduce
        self._turn = asyncio.Lock()
        self._limits = limits
        self._context = context
        self._replica = context.replica
        self._end = 1 << context.local.genesis.document_bits

    async def take_if_due(self, peer: str, *, wanted: bool) -> None:
        """Take one from that member, to its end, where it may give one and one is `wanted` or due.

        One at a time: the others wait, for what they have would come twice. Raises SnapshotUnavailable where
        there is its log alone to pull, CallFailed, PeerOffline, BadUpdate.
        """
        async with self._turn:
            if self._next >= self._end:  # stopped between the last document and the end
                await self._replica.end_snapshot()
            begun = self._replica.snapshot_place is not None
            is_new = not any(self._replica.heads().values())
            if self._context.members.is_trusted(peer) and (begun or wanted or is_new):
                donor = await self._meet(peer)
                if begun or wanted or sum(donor.logs.values()) >= self._limits.min_batches:
                    await self._try(donor)

    async def _try(self, donor: SnapshotDonor) -> None:
        try:
            await self._take(donor)
        except CallFailed as error:  # an earlier release, or one that gives none now
            raise SnapshotUnavailable(f"{donor.peer} gives no documents: {error}") from None

    async def _meet(self, peer: str) -> SnapshotDonor:
        calls, genesis = self._context.calls, self._context.local.genesis
        try:
            return await SnapshotDonor.meet(calls, peer, genesis)
        except CallFailed:
            await self._introduce(peer)
            return await SnapshotDonor.meet(calls, peer, genesis)

    async def _take(self, donor: SnapshotDonor) -> None:
        time_slice = self._context.local.slices()
        page = await donor.page(self._next, self._end, time_slice)  # first: an older release has none to give
        await self._replica.begin_snapshot(tuple(donor.ends.values()), donor.logs)
        _log.info("a snapshot of %s begins at document %d of %d", donor.peer, self._next, self._end)
        await self._join(page)
        while page.next < self._end:
            page = await donor.page(page.next, self._end, time_slice)
            await self._join(page)
        await self._replica.end_snapshot()
        _log.info("the snapshot of %s is complete: its log takes over", donor.peer)

    @property
    def _next(self) -> int:
        place = self._replica.snapshot_place
        return place.next if place is not None else 0

    async def _join(self, page: ReadPage) -> None:
        """In groups: our own writes come in between."""
        for first in range(0, len(page.documents), self._limits.group):
            group = page.documents[first : first + self._limits.group]
            await self._replica.merge(Merge(group, page.logs, following=group[-1].number + 1))
