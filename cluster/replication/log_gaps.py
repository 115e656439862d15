"""Logs that members have cut before what is missing here: who may have it, and who is asked for documents."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

from cluster.pinset.log.batch import AuthorLog

Begins = Mapping[AuthorLog, int]
"""The first batch that a member can serve of each log of which it lacks the next one that we need."""

PAUSE = 30.0
"""Seconds until a member that gave no snapshot is asked for one again."""

NO_GAPS: Begins = MappingProxyType({})


class LogGaps:
    """Plain state: all that are connected are asked for the log first, then one for a snapshot.

    `donors` are those whose snapshot is wanted now.
    """

    def __init__(self, head: Callable[[AuthorLog], int]) -> None:
        self.donors: frozenset[str] = frozenset()
        self._head = head
        self._asked: dict[str, Begins] = {}
        self._refused: dict[str, float] = {}

    def asked(self, peer: str, gaps: Begins) -> None:
        """That member was asked for all it has, and could not serve these."""
        self._asked[peer] = gaps
        self.donors = frozenset()

    def refused(self, peer: str, now: float) -> None:
        """It gave no snapshot at that time, in seconds; it is asked again after PAUSE."""
        self._refused[peer] = now

    def next_to_ask(
        self, connected: Collection[str], is_trusted: Callable[[str], bool], now: float
    ) -> Collection[str]:
        """Members to catch up with now because of a gap."""
        gapped = [peer for peer in connected if self._is_open(self._asked.get(peer, NO_GAPS))]
        others = [peer for peer in connected if peer not in self._asked]
        if gapped and others:
            return others
        self._asked.clear()
        self._refused = {peer: at for peer, at in self._refused.items() if now - at < PAUSE}
        self.donors = frozenset(peer for peer in gapped if is_trusted(peer) and peer not in self._refused)
        return sorted(self.donors)[:1]

    def _is_open(self, gaps: Begins) -> bool:
        return any(self._head(log) + 1 < begin for log, begin in gaps.items())
