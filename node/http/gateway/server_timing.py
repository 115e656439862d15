"""Where the time of an answer went, in its `Server-Timing` header (W3C Server Timing)."""

from __future__ import annotations

import time
from typing import Literal

from aiohttp import web
from aiohttp.typedefs import Handler

Phase = Literal["names", "path", "block"]


class Phases:
    """One follows the other; the time of a phase that comes twice is added up."""

    def __init__(self) -> None:
        self._spent: dict[Phase, float] = {}
        self._current: Phase | None = None
        self._since = 0.0

    def begin(self, phase: Phase, now: float) -> None:
        """`now` in seconds; ends the phase before."""
        self.end(now)
        self._current, self._since = phase, now

    def end(self, now: float) -> None:
        if self._current is not None:
            self._spent[self._current] = self._spent.get(self._current, 0.0) + now - self._since
        self._current = None

    def header(self) -> str:
        """In milliseconds, in the order in which they began first."""
        return ", ".join(f"{name};dur={seconds * 1000:.1f}" for name, seconds in self._spent.items())


_PHASES = web.RequestKey("phases", Phases)


@web.middleware
async def measure_phases(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Measures the phases of this request."""
    request[_PHASES] = Phases()
    return await handler(request)


def begin(request: web.Request, phase: Phase) -> None:
    """Following a name, a path, or getting and looking at what is at its end, until the first byte."""
    if (phases := request.get(_PHASES)) is not None:
        phases.begin(phase, time.perf_counter())


async def add_header(request: web.Request, response: web.StreamResponse) -> None:
    """To be called when a response is about to be sent."""
    if (phases := request.get(_PHASES)) is None:
        return
    phases.end(time.perf_counter())
    if text := phases.header():
        response.headers["Server-Timing"] = text
