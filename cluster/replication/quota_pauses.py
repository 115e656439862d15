"""Logs that are not applied any further, because their author holds more in the pinset than it may.

Nothing of them is lost: they are asked for again when their author holds less, after a while in any case, and
with a higher quota from the start on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from cluster.pinset.log.batch import AuthorLog, SignedBatch
from cluster.pinset.tables.live_entries import LiveEntries

RETRY = 60.0
"""Seconds until a paused log is asked for once more: what follows in it may be unpins."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QuotaPause:
    """Until when, by the loop's clock, unless its author comes to hold less."""

    until: float
    held: LiveEntries


class QuotaPauses:
    """The logs that stand still here. `live`: what an author holds now; `name`: of a member, for the log."""

    def __init__(self, live: Callable[[str], LiveEntries], name: Callable[[str], str]) -> None:
        self._live = live
        self._name = name
        self._pauses: dict[AuthorLog, QuotaPause] = {}

    def __len__(self) -> int:
        return len(self._pauses)

    def pause(self, signed: SignedBatch) -> None:
        """That batch leads above the quota."""
        log, held = signed.batch.log, self._live(signed.batch.log.author)
        if log not in self._pauses:
            _log.warning(
                "what %s (%s) writes is not applied here from its batch %d on: it holds %d pins of %.1f MiB,"
                " and cluster.member_pins or cluster.member_mib lets it hold no more: raise that, or unpin",
                self._name(log.author) or "a member",
                log.author,
                signed.batch.sequence,
                held.pins,
                held.bytes / (1 << 20),
            )
        self._pauses[log] = QuotaPause(asyncio.get_running_loop().time() + RETRY, held)

    def applied(self, log: AuthorLog) -> None:
        """A batch of it was."""
        if self._pauses.pop(log, None) is not None:
            _log.info("what %s writes is applied again", self._name(log.author) or log.author)

    def holds_back(self, log: AuthorLog) -> bool:
        """Whether that log is not even to be asked for now."""
        pause = self._pauses.get(log)
        if pause is None or asyncio.get_running_loop().time() >= pause.until:
            return False
        held = self._live(log.author)
        return held.pins >= pause.held.pins and held.bytes >= pause.held.bytes
