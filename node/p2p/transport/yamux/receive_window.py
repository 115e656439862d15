"""What all streams of one connection hold unread and may still be sent: flow control against the peer.

By the specification a stream may be sent 256 KiB unasked, so many streams may hold much: what lies unread is
counted against a budget of the connection and one of the host, and streams are reset where one is exceeded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from node.p2p.transport.memory_budget import MemoryBudget
from node.p2p.transport.yamux.frames import INITIAL_WINDOW

CONNECTION_WINDOW = 16 * 1024 * 1024  # bytes of all streams; above it each keeps its initial window
MAX_UNREAD = 32 * 1024 * 1024  # bytes of one connection: as many as Bitswap asks of one peer at once
WINDOW = 8 * 1024 * 1024  # bytes of a stream that is being read: what a long line carries in one round trip


class HeldStream(Protocol):
    """What a stream says of the bytes it holds."""

    @property
    def unread(self) -> int: ...

    @property
    def owes(self) -> bool:
        """Whether the peer has sent a part of something and its reader waits for the rest."""
        ...

    def drop(self, reason: str) -> None: ...


class ReceiveWindow:
    """Satisfies `memory_budget.Holder`. `streams`: those that are open, the oldest first."""

    def __init__(self, streams: Mapping[int, HeldStream], memory: MemoryBudget) -> None:
        self._streams = streams
        self._memory = memory
        self.unread = 0  # bytes,
        self._granted = 0  # and those that may still come
        self.dropped = 0  # streams reset for what they held

    @property
    def promised(self) -> int:
        """Bytes that are held, or that the peer was allowed to send."""
        return self.unread + self._granted

    def join(self) -> None:
        """Count against the host's budget from now on."""
        self._memory.join(self)

    def leave(self) -> None:
        self._memory.leave(self)

    def grant(self, size: int) -> None:
        """The peer may send so many bytes more, or (below zero) fewer."""
        self._granted += size

    def hold(self, size: int) -> None:
        """A stream was sent so many bytes that are not read yet."""
        self.unread += size
        self._memory.take(size)
        while self.unread > MAX_UNREAD and (self.shed(owed_only=True) or self.shed(owed_only=False)):
            continue

    def release(self, size: int) -> None:
        """So many bytes were read, or are gone."""
        self.unread -= size
        self._memory.give(size)

    def ready_for(self, own: int) -> int:
        """Bytes that a stream, promised `own` so far, may be promised in all."""
        left = CONNECTION_WINDOW - (self.promised - own)
        return max(INITIAL_WINDOW, min(WINDOW, left, self._memory.room()))

    @property
    def extra(self) -> int:
        """See `memory_budget.Holder`."""
        return max(0, self.promised - INITIAL_WINDOW * len(self._streams))

    def owed(self) -> int:
        """See `memory_budget.Holder`."""
        return sum(stream.unread for stream in self._all() if stream.owes)

    def shed(self, *, owed_only: bool) -> bool:
        """See `memory_budget.Holder`."""
        for stream in self._all():
            if stream.owes if owed_only else stream.unread:
                self.dropped += 1
                stream.drop("too much was sent that could not be read")
                return True
        return False

    def _all(self) -> Iterable[HeldStream]:
        return self._streams.values()
