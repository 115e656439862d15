"""Admission of foreign batches: trust, then causal delivery by the hold-back queue, then the replica.

Gossip and catching up both bring batches here; neither knows of the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from cluster.errors import UntrustedPeer
from cluster.pinset.batch import OpenedBatch, SignedBatch
from cluster.pinset.changes import Verdict
from cluster.replication.context import ReplicationContext
from cluster.replication.fork_watch import ForkWatch
from cluster.replication.holdback import HoldbackQueue


class Admission:
    """Decides which batches are applied now, later, or never, and counts them."""

    def __init__(self, context: ReplicationContext, forks: ForkWatch) -> None:
        self._forks = forks
        self._local = context.local
        self._members = context.members
        self._replica = context.replica
        self._counts = context.counts
        self._held = HoldbackQueue()

    def gossiped(self, envelope: bytes) -> SignedBatch:
        """A batch that counts on its author's word. Raises BadUpdate, UntrustedPeer."""
        opened = OpenedBatch.read(envelope)
        author = opened.batch.log.author
        if not self._members.is_trusted(author):
            raise UntrustedPeer(f"{author} is not trusted to write pins")
        return self._verified(opened)

    async def admit_pulled(self, envelopes: Sequence[bytes], peer: str) -> int:
        """Apply what that member sent, and say how many were. A trusted member vouches for authors that are
        not trusted (any more). Raises BadUpdate.
        """
        vouched = self._members.is_trusted(peer)
        opened = map(OpenedBatch.read, envelopes)
        usable = (one for one in opened if vouched or self._members.is_trusted(one.batch.log.author))
        return await self.admit([self._verified(one) for one in usable])

    async def admit(self, batches: Sequence[SignedBatch]) -> int:
        """Apply, hold back what is early, and apply what was held for these; how many were applied."""
        applied = 0
        tried: list[SignedBatch] = []  # in vain, since something was last applied
        while batches:
            verdicts = await self._replica.admit(batches)
            self._hold_early(batches, verdicts)
            progress = verdicts.count(Verdict.APPLIED)
            applied += progress
            self._counts.refused += verdicts.count(Verdict.REFUSED)
            tried = [] if progress else [*tried, *batches]
            # Others apply batches between our turns: what is held may be ready though nothing was applied.
            batches = [signed for signed in self._held.ready(self._replica.head) if signed not in tried]
        self._counts.applied += applied
        return applied

    def _hold_early(self, batches: Sequence[SignedBatch], verdicts: Sequence[Verdict]) -> None:
        for signed, verdict in zip(batches, verdicts, strict=True):
            if verdict is Verdict.EARLY:
                self._held.keep(signed)
                continue
            self._held.drop(signed)
            if verdict is Verdict.KNOWN:
                self._forks.batch_came_again(signed)
            elif verdict is Verdict.FORKED:
                self._forks.batch_does_not_follow(signed)

    def _verified(self, opened: OpenedBatch) -> SignedBatch:
        return opened.verified(self._local.cluster_id, self._local.signer)
