"""Accepts TCP connections, and keeps each for as long as it has a place."""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable

import trio

from node.p2p.admission.places import Full, Place, Places

_PAUSE = 0.1  # seconds after accepting failed: without file descriptors it would spin
_log = logging.getLogger(__name__)

Hold = Callable[[trio.SocketStream, Place], Awaitable[None]]
"""Make a connection of an accepted one, and live as long as it does. Raises Full, NetworkError."""

Start = Callable[[str, Callable[[], Awaitable[None]]], None]
"""(what it is, work): run it beside, guarded."""


class StreamListener:
    """Of one network; `name` is for the log."""

    def __init__(self, name: str, places: Places, hold: Hold, start: Start) -> None:
        self._name = name
        self._places = places
        self._hold = hold
        self._start = start

    async def run(self, listening: socket.socket) -> None:
        """Accept until cancelled; the socket is duplicated, so that it survives."""
        async with trio.SocketListener(trio.socket.from_stdlib_socket(listening.dup())) as listener:
            while True:
                try:
                    stream = await listener.accept()
                except OSError as error:  # no file descriptor left, or the caller is gone already
                    _log.warning("%s: accepting a connection failed: %s", self._name, error)
                    await trio.sleep(_PAUSE)
                else:
                    self._start("accepted connection", _later(self._accept, stream))

    async def _accept(self, stream: trio.SocketStream) -> None:
        async with stream:
            host: str = stream.socket.getpeername()[0]
            with trio.CancelScope() as scope:
                place = self._places.enter(host, trio.current_time(), scope.cancel)
                try:
                    await self._hold(stream, place)
                except Full:
                    _log.debug("%s: full, %s at %s was refused", self._name, place.peer, host)
                finally:
                    self._places.leave(place)


def _later(
    work: Callable[[trio.SocketStream], Awaitable[None]], stream: trio.SocketStream
) -> Callable[[], Awaitable[None]]:
    return lambda: work(stream)
