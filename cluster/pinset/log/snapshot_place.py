"""How far a snapshot of another member's documents has come here; it outlives the process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cluster.pinset.log.batch import AuthorLog

NEXT_FACT = "snapshot.next"
"""The fact that holds the first document that is not here yet, in 8 bytes, while a snapshot is under way."""


@dataclass(frozen=True, slots=True)
class LogEnd:
    """A log up to a batch; `hash` is that batch's, empty where it is not known."""

    log: AuthorLog
    sequence: int
    hash: bytes = b""


@dataclass(frozen=True, slots=True)
class SnapshotPlace:
    """All documents before `next` are here, and each holds every batch up to the `floor` at least.

    The floor is what a donor had applied before it gave its first document: heads become that at the end.
    """

    floor: tuple[LogEnd, ...] = ()
    next: int = 0

    def with_donor(self, ends: Iterable[LogEnd]) -> SnapshotPlace:
        """Go on with another donor, that has come so far.

        Of each log the lower end counts: documents that are here hold the one, those still to come the other.
        """
        others: Mapping[AuthorLog, LogEnd] = {end.log: end for end in ends}
        if not self.next:
            return SnapshotPlace(tuple(others.values()))
        both = (sorted((end, others[end.log]), key=_sequence)[0] for end in self.floor if end.log in others)
        return SnapshotPlace(tuple(both), self.next)


def _sequence(end: LogEnd) -> int:
    return end.sequence
