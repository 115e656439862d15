"""What all peers of one host may have lying here unread, and whose goes when that is too much."""

from __future__ import annotations

from typing import Protocol

BUDGET = 48 * 1024 * 1024  # bytes of all connections
_SPARE = 8  # an eighth of the budget is made free at once, so that it is not done for every frame


class Holder(Protocol):
    """One connection."""

    @property
    def extra(self) -> int:
        """Bytes that lie here or may come, beyond what a peer may send unasked."""
        ...

    def owed(self) -> int:
        """Bytes of messages whose rest the peer owes us."""
        ...

    def shed(self, *, owed_only: bool) -> bool:
        """Drop one stream and what it holds, the oldest first; False when there is none (of that kind)."""
        ...


class MemoryBudget:
    """A budget of unread bytes. Unfinished messages go first, those of the peer with the most before all."""

    def __init__(self, most: int = BUDGET) -> None:
        self._most = most
        self._held = 0
        self._holders: set[Holder] = set()

    def __repr__(self) -> str:
        return f"<Memory: {self._held} of {self._most} bytes unread, {len(self._holders)} connections>"

    def join(self, holder: Holder) -> None:
        self._holders.add(holder)

    def leave(self, holder: Holder) -> None:
        self._holders.discard(holder)

    def room(self) -> int:
        """Bytes that one more stream may be promised: half of what the others leave."""
        return (self._most * 3 // 4 - sum(holder.extra for holder in self._holders)) // 2

    def take(self, size: int) -> None:
        """So many bytes more are held; others may have to go for them."""
        self._held += size
        if self._held > self._most:
            self._relieve(self._most - self._most // _SPARE)

    def give(self, size: int) -> None:
        self._held -= size

    def _relieve(self, goal: int) -> None:
        for owed_only in (True, False):
            for holder in sorted(self._holders, key=lambda holder: holder.owed(), reverse=True):
                while self._held > goal and holder.shed(owed_only=owed_only):
                    continue
