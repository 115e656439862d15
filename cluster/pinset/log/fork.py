"""A fork: two different batches that one author signed under one number of one log.

The honest case is a machine that was rolled back together with its memory, and wrote on. Either batch is as
true as the other, so the log goes no further anywhere, and what both batches are proves it to anyone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cluster.errors import BadUpdate
from cluster.pinset.log.batch import AuthorLog, OpenedBatch
from cluster.ports import Signer

MAX_FORKS = 256
"""Logs that are known to be forked; further ones are told in the log alone."""

Forks = Mapping[AuthorLog, int]
"""The first number that stands for two batches, of each log that is forked."""


def place_fact(log: AuthorLog) -> str:
    """The fact that says how far that forked log is contained here."""
    return f"fork {log.epoch} {log.author}"


@dataclass(frozen=True, slots=True)
class Fork:
    """The evidence: two envelopes, in order of their hashes."""

    log: AuthorLog
    sequence: int
    one: bytes
    other: bytes

    @classmethod
    def proved(cls, first: bytes, second: bytes, cluster_id: bytes, signer: Signer) -> Fork:
        """Raises BadUpdate unless these are two batches that their author signed under one number."""
        batches = [OpenedBatch.read(envelope).verified(cluster_id, signer) for envelope in (first, second)]
        one, other = sorted(batches, key=lambda signed: signed.hash)
        if (one.batch.log, one.batch.sequence) != (other.batch.log, other.batch.sequence):
            raise BadUpdate("two batches of different numbers or logs prove no fork")
        if one.hash == other.hash:
            raise BadUpdate("one batch twice proves no fork")
        return cls(one.batch.log, one.batch.sequence, one.envelope, other.envelope)
