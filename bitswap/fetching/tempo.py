"""How fast one peer answers: how long to wait before another one is asked too. Times are seconds."""

from __future__ import annotations

_UNKNOWN = 0.5  # a round trip, until one was measured
_FLOOR = 0.5  # even a near peer may have to read a disk, or be busy
_CEILING = 4.0  # beyond this a peer is slow, whatever it did before


class Tempo:
    """`trip`: a round trip, averaged. `gap`: the longest recent wait for its next message of blocks."""

    def __init__(self) -> None:
        self.delivered_at = float("-inf")
        self._trip: float | None = None
        self._gap = 0.0

    def __repr__(self) -> str:
        return f"<Tempo: {self.patience:.2f} s of patience>"

    @property
    def patience(self) -> float:
        """Two round trips, or twice the time that its blocks take."""
        trip = _UNKNOWN if self._trip is None else self._trip
        return min(max(2 * trip, 2 * self._gap, _FLOOR), _CEILING)

    def on_answer(self, seconds: float) -> None:
        """It answered a question after that time, with nothing before it in line."""
        self._trip = seconds if self._trip is None else self._trip + (seconds - self._trip) / 8

    def on_blocks(self, asked_at: float, now: float) -> None:
        """A message with blocks came; the oldest that was awaited was asked for at `asked_at`."""
        self._gap = max(now - max(asked_at, self.delivered_at), self._gap * 7 / 8)
        self.delivered_at = now
