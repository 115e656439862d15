"""Batches that documents may hold already, before the log has come to them.

A document that was taken from another member holds all that member had applied just then: batches that are
still to come here, perhaps. They are applied all the same when they come, and what is there already is not
refused as a clock that was used twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cluster.pinset.log.batch import AuthorLog


class Tolerance:
    """The last batch of every log that a document taken from elsewhere may hold."""

    def __init__(self, logs: Mapping[AuthorLog, int]) -> None:
        self._logs = dict(logs)

    def covers(self, log: AuthorLog, sequence: int) -> bool:
        """Whether that batch may be in documents already."""
        return sequence <= self._logs.get(log, 0)

    def above(self, logs: Mapping[AuthorLog, int]) -> Mapping[AuthorLog, int]:
        """Of these, what is not tolerated yet."""
        return {log: sequence for log, sequence in logs.items() if not self.covers(log, sequence)}

    def widen(self, logs: Mapping[AuthorLog, int]) -> None:
        """Tolerate these too."""
        self._logs |= self.above(logs)

    def ahead_of(self, head: Callable[[AuthorLog], int]) -> Mapping[AuthorLog, int]:
        """What is tolerated beyond these heads."""
        return {log: sequence for log, sequence in self._logs.items() if sequence > head(log)}
