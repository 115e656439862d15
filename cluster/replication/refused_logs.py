"""Logs whose next batch is refused here: they are asked for again, but ever more seldom."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from blockstore.common.backoff import Backoff
from cluster.pinset.log.batch import AuthorLog

_PAUSES = Backoff(10.0, 3600.0, jitter=0.0)
_MAX_LOGS = 1024  # those refused last; each has an author that a trusted member vouches for


@dataclass(frozen=True, slots=True)
class Refusal:
    """So many times in a row, and until when nothing of the log is wanted, by the loop's clock."""

    times: int
    until: float


class RefusedLogs:
    """A batch that breaks the rules today does so tomorrow; what it waits for is another release of ours."""

    def __init__(self) -> None:
        self._refusals: dict[AuthorLog, Refusal] = {}

    def __len__(self) -> int:
        return len(self._refusals)

    def refused(self, log: AuthorLog) -> None:
        """Its next batch was, once more."""
        earlier = self._refusals.pop(log, None)
        times = earlier.times + 1 if earlier else 1
        until = asyncio.get_running_loop().time() + _PAUSES.after(times)
        if len(self._refusals) >= _MAX_LOGS:
            del self._refusals[next(iter(self._refusals))]
        self._refusals[log] = Refusal(times, until)

    def applied(self, log: AuthorLog) -> None:
        """A batch of it was."""
        self._refusals.pop(log, None)

    def holds_back(self, log: AuthorLog) -> bool:
        """Whether that log is not even to be asked for now."""
        refusal = self._refusals.get(log)
        return refusal is not None and asyncio.get_running_loop().time() < refusal.until
