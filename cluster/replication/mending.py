"""Documents that differ, or that cannot be read any more, made right from those of a trusted member."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from cluster.errors import BadUpdate
from cluster.pinset.adoption import Merge
from cluster.pinset.documents.foreign_document import ForeignDocument
from cluster.pinset.log.batch import AuthorLog
from cluster.replication.context import ReplicationContext
from cluster.replication.snapshot_donor import SnapshotDonor

_log = logging.getLogger(__name__)


class Mending:
    """What is whole is joined with the other's; what is damaged here is put aside for it."""

    def __init__(self, context: ReplicationContext) -> None:
        self._context = context
        self._replica = context.replica

    async def mend_damaged(self, peer: str) -> None:
        """From that member, if it is trusted, what could not be read here. Raises CallFailed, PeerOffline."""
        damaged = self._replica.damaged
        if damaged and self._context.members.is_trusted(peer):
            await self.take(peer, damaged)

    async def mend_alone(self) -> None:
        """What could not be read, from our own log or rows, where no other member is trusted."""
        damaged = self._replica.damaged
        if damaged and not self._has_others():
            _log.warning("%s cannot be read: made again from what else is in cluster.db", _named(damaged))
            if not await self._by_log(damaged):
                await self._replica.write_again(damaged)
            self._context.counts.repaired += len(damaged)

    async def _by_log(self, damaged: frozenset[int]) -> bool:
        try:
            return await self._replica.rebuild(damaged)
        except BadUpdate as error:
            _log.error("the log is damaged too, rows are what is left: %s", error)
            return False

    def _has_others(self) -> bool:
        members, us = self._context.members, self._context.local.peer
        return any(members.is_trusted(peer) for peer in members.peers() if peer != us)

    async def take(self, peer: str, numbers: Iterable[int]) -> frozenset[int]:
        """Make these right by that member's: those that changed.

        Raises CallFailed where it gives no documents, PeerOffline, BadUpdate.
        """
        donor = await SnapshotDonor.meet(self._context.calls, peer, self._context.local.genesis)
        wanted = frozenset(numbers)
        damaged = await self._replica.find_damaged(wanted)
        changed: set[int] = set()
        logs: dict[AuthorLog, int] = donor.logs
        for number in sorted(wanted):
            page = await donor.page(number, number + 1, self._context.local.slices())
            logs |= page.logs
            documents = page.documents or (ForeignDocument(number, (), {}),)
            if await self._replica.merge(Merge(documents, logs, afresh=number in damaged)):
                changed.add(number)
        if damaged:
            _log.warning("%s: damaged here, and made again from those of %s", _named(damaged), peer)
        self._context.counts.repaired += len(changed)
        return frozenset(changed)


def _named(numbers: Iterable[int]) -> str:
    """At most a few of them."""
    ordered = sorted(numbers)
    text = ", ".join(map(str, ordered[:5]))
    more = ", ..." if len(ordered) > 5 else ""
    return f"{len(ordered)} documents ({text}{more})"
