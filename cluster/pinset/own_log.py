"""The log that this member's own batches go to, and the epoch that it is written in."""

from __future__ import annotations

from collections.abc import Mapping

from cluster.common.local_member import LocalMember
from cluster.pinset.document_cache import DocumentCache
from cluster.pinset.log.batch import AuthorLog, Batch, SignedBatch, new_epoch, sign
from cluster.pinset.log.log_heads import LogHeads
from cluster.pinset.tables.store import STAMP_FACT
from cluster.pinset.transaction import Transaction


class OwnLog:
    """Signs what is written. Where it is not known what the disk has, an epoch is given up for a new one."""

    def __init__(self, local: LocalMember, heads: LogHeads, documents: DocumentCache) -> None:
        self._local = local
        self._heads = heads
        self._documents = documents
        self.log = AuthorLog(local.peer, new_epoch(local.chance))
        """In the epoch that is written in now."""

    @property
    def head(self) -> int:
        """The last batch of it that is applied here; 0 before the first."""
        return self._heads.of(self.log)

    def begin_epoch(self) -> None:
        """Write under a new client id from now on; documents that are loaded have the old one."""
        self.log = AuthorLog(self._local.peer, new_epoch(self._local.chance))
        self._documents.forget_all()

    def part_from(self, logs: Mapping[AuthorLog, int]) -> None:
        """Others have so much of these logs: if that is more of ours than we have, begin anew."""
        if logs.get(self.log, 0) > self.head:
            self.begin_epoch()

    def sign(self, transaction: Transaction, stamp: int) -> SignedBatch:
        """What the transaction changed, as the next batch, which is added to it."""
        updates = tuple((number, parts[0]) for number, parts in sorted(transaction.updates.items()))
        batch = Batch(self.log, self.head + 1, stamp, updates, self._heads.hash_of(self.log))
        signed = sign(batch, self._local.cluster_id, self._local.signer)
        transaction.add_batch(signed)
        return signed

    def stamp(self) -> Mapping[str, bytes]:
        """The fact that goes to the disk with whatever was stamped."""
        return {STAMP_FACT: self._local.clock.last.to_bytes(8)}
