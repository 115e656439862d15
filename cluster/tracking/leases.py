"""Leases on copies: a member that lets go of a pin that was moved relies on others, which promise to stay.

A lease is granted of what is here and is not being let go of; while it lasts, it is not let go of here. So of
two members that would each rely on the other, none lets go; and who lets go leaves behind as many copies as
it was promised. Leases are in memory: one granted before a restart is over when `LEASE` seconds have passed
since, and until then nothing is let go of.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from blockstore.cid import CID

LEASE = 30.0
"""Seconds that a lease lasts: longer than asking all holders of a pin takes."""

MAX_LEASES = 100_000
"""Above that none is granted: others keep their copies for a while longer."""


class Copy(NamedTuple):
    """What a holder of a pin is to have: a DAG (recursive), or one block."""

    cid: CID
    recursive: bool


class Leases:
    """Times are seconds of a clock that never jumps."""

    def __init__(self, opened: float) -> None:
        """`opened`: when this member began."""
        self._quiet_until = opened + LEASE
        self._ends: dict[CID, float] = {}  # in order of their ends
        self._leaving: set[CID] = set()

    def grant(self, cid: CID, now: float) -> bool:
        """Promise that it stays for `LEASE` seconds, whether or not it is here; false where it may not."""
        self._forget(now)
        if cid in self._leaving or (len(self._ends) >= MAX_LEASES and cid not in self._ends):
            return False
        self._ends.pop(cid, None)
        self._ends[cid] = now + LEASE
        return True

    def leave(self, cids: Iterable[CID], now: float) -> frozenset[CID]:
        """Those that may be let go of now: from here on no lease is granted on them, until `stay`."""
        if now < self._quiet_until:
            return frozenset()
        self._forget(now)
        leaving = frozenset(cid for cid in cids if cid not in self._ends and cid not in self._leaving)
        self._leaving |= leaving
        return leaving

    def stay(self, cids: Iterable[CID]) -> None:
        """They are gone, or stay here after all."""
        self._leaving.difference_update(cids)

    def _forget(self, now: float) -> None:
        while self._ends:
            cid = next(iter(self._ends))
            if self._ends[cid] > now:
                return
            del self._ends[cid]
