"""The branches of a forked log beside each other: which clocks it used in more than one.

A deletion that names such an item may mean either, so what it hit here is in doubt.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence

from cluster.common import wire
from cluster.common.methods import BATCHES
from cluster.common.wire import MAX_VALUE_BYTES
from cluster.errors import BadUpdate
from cluster.pinset.containment import SharedClocks
from cluster.pinset.documents.yjs_update import parse
from cluster.pinset.log.batch import MAX_BATCH_BYTES, AuthorLog, OpenedBatch
from cluster.ports import MAX_CALL, CallFailed, PeerOffline
from cluster.replication.context import ReplicationContext
from cluster.replication.heads import encode_logs

MAX_PAGES = 64
"""Of about a mebibyte: so much of a branch is looked at."""

_log = logging.getLogger(__name__)

_Clocks = dict[int, set[int]]


async def fetch_batches(
    context: ReplicationContext, peer: str, log: AuthorLog, after: int
) -> tuple[bytes, ...]:
    """A page of that log's batches as that member has them. Raises CallFailed, PeerOffline, BadUpdate."""
    request = wire.encode({"wants": encode_logs([(log, after)])})
    answer = await context.calls.call(peer, BATCHES.name, request)
    return wire.Fields.decode(answer, MAX_CALL).datas("batches", MAX_BATCH_BYTES // 100)


class ForkBranches:
    """Compares our branch with those of the members that are connected."""

    def __init__(self, context: ReplicationContext) -> None:
        self._context = context

    async def shared_clocks(self, log: AuthorLog) -> SharedClocks:
        """Of our branch and any other one; nothing of members that do not answer."""
        fork = self._context.replica.forks[log]
        ours = await self._clocks(self._here(log, fork - 1))
        shared: _Clocks = {}
        for peer in sorted(self._context.calls.peers() & self._context.members.peers()):
            try:
                theirs = await self._clocks(self._there(peer, log, fork - 1)) if ours else {}
            except (CallFailed, PeerOffline, BadUpdate) as error:
                _log.info("%s does not tell its branch of a forked log now: %s", peer, error)
                continue
            for number in ours.keys() & theirs.keys():
                shared.setdefault(number, set()).update(ours[number] & theirs[number])
        return shared

    async def _here(self, log: AuthorLog, after: int) -> AsyncIterator[OpenedBatch]:
        for _ in range(MAX_PAGES):
            page = await self._context.store.batches([(log, after)], MAX_BATCH_BYTES)
            for opened in map(OpenedBatch.read, page):
                after = opened.batch.sequence
                yield opened
            if not page:
                return

    async def _there(self, peer: str, log: AuthorLog, after: int) -> AsyncIterator[OpenedBatch]:
        """Nothing where it is the branch that is here."""
        same = await self._hashes_here(log, after)
        for _ in range(MAX_PAGES):
            page = await fetch_batches(self._context, peer, log, after)
            for opened in map(OpenedBatch.read, page):
                if opened.batch.log != log or opened.batch.sequence <= after or opened.hash in same:
                    return
                after = opened.batch.sequence
                yield opened
            if not page:
                return

    async def _hashes_here(self, log: AuthorLog, after: int) -> Sequence[bytes]:
        page = await self._context.store.batches([(log, after)], 1)
        return [opened.hash for opened in map(OpenedBatch.read, page)]

    async def _clocks(self, batches: AsyncIterator[OpenedBatch]) -> _Clocks:
        found: _Clocks = {}
        async for opened in batches:
            for number, data in opened.batch.updates:
                update = parse(data, opened.batch.log.client, MAX_VALUE_BYTES)
                if update.entries:
                    found.setdefault(number, set()).update(range(update.start, update.end))
        return found
