"""How many streams of one protocol a peer may keep open with us."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from node.p2p.errors import StreamLost
from node.p2p.transport.connection import Pipe

FEW = 16  # from here on an idle one is closed for a new one
MOST = 128  # however busy they are: Kubo opens a stream a message


class Streams:
    """Those of all peers that are being served."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], dict[Pipe, trio.CancelScope]] = {}

    @contextmanager
    def opened(self, peer: str, protocol: str, pipe: Pipe) -> Iterator[None]:
        """One more, for the length of the block, which ends early when the stream has to go for another.

        Raises StreamLost when there are too many.
        """
        streams = self._open.setdefault((peer, protocol), {})
        if len(streams) >= FEW:
            _make_room(peer, protocol, streams)
        with trio.CancelScope() as scope:
            streams[pipe] = scope
            try:
                yield
            finally:
                streams.pop(pipe, None)
                if not streams and self._open.get((peer, protocol)) is streams:
                    del self._open[peer, protocol]
        if scope.cancelled_caught:
            raise StreamLost(f"{FEW} streams of {protocol} are enough: an idle one was closed")


def _make_room(peer: str, protocol: str, streams: dict[Pipe, trio.CancelScope]) -> None:
    idle = next((pipe for pipe in streams if not pipe.unread), None)  # the oldest
    if idle is not None:
        streams.pop(idle).cancel()
    elif len(streams) >= MOST:
        raise StreamLost(f"{peer} has {MOST} streams of {protocol} open")
