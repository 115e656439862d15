"""A fair queue, round robin over sessions: wants that wait because every peer worth asking is busy."""

from __future__ import annotations

from collections import OrderedDict

from bitswap.fetching.session_peers import SessionPeers
from bitswap.fetching.want import Want


class FairQueue:
    """Each session's wants keep their order."""

    def __init__(self) -> None:
        self._queues: OrderedDict[SessionPeers, OrderedDict[bytes, Want]] = OrderedDict()

    def __len__(self) -> int:
        """Number of sessions that wait."""
        return len(self._queues)

    def __contains__(self, want: Want) -> bool:
        return want.key in self._queues.get(want.sessions[0], {})

    def __repr__(self) -> str:
        return f"<FairQueue of {sum(map(len, self._queues.values()))} wants in {len(self)} sessions>"

    def add(self, want: Want) -> None:
        """At the end of its session's queue; where it is, if it is there already."""
        self._queues.setdefault(want.sessions[0], OrderedDict()).setdefault(want.key, want)

    def discard(self, want: Want) -> None:
        queue = self._queues.get(want.sessions[0])
        if queue is None:
            return
        queue.pop(want.key, None)
        if not queue:
            del self._queues[want.sessions[0]]

    def turn(self) -> Want:
        """The first want of the session whose turn it is, left in place; the next call is the next turn."""
        session, queue = self._queues.popitem(last=False)
        self._queues[session] = queue
        return next(iter(queue.values()))
