"""Admission of foreign batches: trust, then causal delivery by the hold-back queue, then the replica.

Gossip and catching up both bring batches here; neither knows of the other. However many come, each
transaction is small: our own writing, and other authors', get their turn between two of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from blockstore.common.grouped import grouped
from cluster.errors import UntrustedPeer
from cluster.pinset.changes import Verdict
from cluster.pinset.log.batch import AuthorLog, OpenedBatch, SignedBatch
from cluster.replication.context import ReplicationContext
from cluster.replication.fork_watch import ForkWatch
from cluster.replication.holdback import HoldbackQueue

MAX_UPDATES = 4096
"""Documents changed in one transaction of foreign batches, if it is of more than one batch.

A quarter of a second of work, for which our own writing waits at most; a commit's own cost is spread over
enough of them.
"""


class Admission:
    """Decides which batches are applied now, later, or never, and counts them."""

    def __init__(self, context: ReplicationContext, forks: ForkWatch) -> None:
        self._forks = forks
        self._local = context.local
        self._members = context.members
        self._replica = context.replica
        self._counts = context.counts
        self._pauses = context.pauses
        self._refusals = context.refusals
        self._held = HoldbackQueue()

    def gossiped(self, envelope: bytes) -> SignedBatch:
        """A batch that counts on its author's word. Raises BadUpdate, UntrustedPeer."""
        opened = OpenedBatch.read(envelope)
        author = opened.batch.log.author
        if not self._members.is_trusted(author):
            raise UntrustedPeer(f"{author} is not trusted to write pins")
        return self._verified(opened)

    async def admit_pulled(self, batches: Sequence[OpenedBatch], peer: str) -> None:
        """Apply what that member sent. A trusted member vouches for authors that are not trusted (any more).

        Raises BadUpdate.
        """
        time_slice = self._local.slices()
        vouched = self._members.is_trusted(peer)
        for part in grouped(((one, len(one.batch.updates)) for one in batches), MAX_UPDATES):
            verified = []
            for one in part:
                if vouched or self._members.is_trusted(one.batch.log.author):
                    verified.append(self._verified(one))
                await time_slice.yield_if_due()
            await self.admit(verified)

    async def admit(self, batches: Sequence[SignedBatch]) -> None:
        """Apply, hold back what is early, and apply what was held for these."""
        tried: set[tuple[AuthorLog, int]] = set()  # in vain, since something was last applied
        while batches:
            verdicts = await self._replica.admit(batches)
            self._hold_early(batches, verdicts)
            self._counts.refused += verdicts.count(Verdict.REFUSED)
            if applied := verdicts.count(Verdict.APPLIED):
                self._counts.applied += applied
                tried.clear()
            else:
                tried.update(map(_name, batches))
            if Verdict.PAUSED in verdicts:
                await self._pause(batches, verdicts)
            # Others apply batches between our turns: what is held may be ready though nothing was applied.
            batches = [one for one in self._held.ready(self._replica.head) if _name(one) not in tried]

    async def _pause(self, batches: Sequence[SignedBatch], verdicts: Sequence[Verdict]) -> None:
        """Together they lead above their authors' quotas: each alone, as far as that goes."""
        paused = [one for one, verdict in zip(batches, verdicts, strict=True) if verdict is Verdict.PAUSED]
        full: set[AuthorLog] = set()
        for signed in paused:
            log = signed.batch.log
            if log in full:
                continue
            if len(batches) > 1:
                await self.admit([signed])
            else:
                self._pauses.pause(signed)
            if signed.batch.sequence > self._replica.head(log):
                full.add(log)

    def _hold_early(self, batches: Sequence[SignedBatch], verdicts: Sequence[Verdict]) -> None:
        for signed, verdict in zip(batches, verdicts, strict=True):
            if verdict is Verdict.EARLY:
                self._held.keep(signed)
                continue
            self._held.drop(signed)
            if verdict is Verdict.APPLIED:
                self._pauses.applied(signed.batch.log)
                self._refusals.applied(signed.batch.log)
            elif verdict is Verdict.REFUSED:
                self._refusals.refused(signed.batch.log)
            elif verdict is Verdict.KNOWN:
                self._forks.batch_came_again(signed)
            elif verdict is Verdict.FORKED:
                self._forks.batch_does_not_follow(signed)

    def _verified(self, opened: OpenedBatch) -> SignedBatch:
        return opened.verified(self._local.cluster_id, self._local.signer)


def _name(signed: SignedBatch) -> tuple[AuthorLog, int]:
    return signed.batch.log, signed.batch.sequence
