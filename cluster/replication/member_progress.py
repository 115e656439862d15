"""How far members have come, as each was last seen to: from what it told, and from what it asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cluster.pinset.log.batch import AuthorLog

MAX_LOGS = 65_536
"""Logs that are remembered of one member: it names them."""


@dataclass(slots=True)
class SeenMember:
    """`heads` are those it has, at `seen` (seconds since 1970); until `whole`, there may be more."""

    seen: float = 0.0
    whole: bool = False
    heads: dict[AuthorLog, int] = field(default_factory=dict)


NEVER_SEEN = SeenMember()


class MemberProgress:
    """Since this node opened its pinset."""

    def __init__(self) -> None:
        self._seen: dict[str, SeenMember] = {}

    def of(self, peer: str) -> SeenMember:
        return self._seen.get(peer, NEVER_SEEN)

    def begins(self, peer: str) -> None:
        """It tells all of its heads from the first on: what was known is not so any more."""
        self._seen[peer] = SeenMember()

    def has(self, peer: str, heads: Iterable[tuple[AuthorLog, int]], now: float) -> None:
        """Of these logs it has so much and no more."""
        seen = self._seen.setdefault(peer, SeenMember())
        seen.seen = now
        for log, sequence in heads:
            if log in seen.heads or len(seen.heads) < MAX_LOGS:
                seen.heads[log] = sequence

    def is_whole(self, peer: str) -> None:
        """It has told all of its heads."""
        self._seen.setdefault(peer, SeenMember()).whole = True

    def equals(self, peer: str, ours: Mapping[AuthorLog, int], now: float) -> None:
        """It has exactly what we have."""
        self._seen[peer] = SeenMember(now, True, dict(ours))

    def forget(self, peers: Iterable[str]) -> None:
        """Those are no members any more."""
        for peer in peers:
            self._seen.pop(peer, None)

    def peers(self) -> frozenset[str]:
        return frozenset(self._seen)
