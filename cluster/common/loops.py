"""Loops that outlive what goes wrong in one turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from blockstore.common.backoff import Backoff
from blockstore.common.guard import Guard

_PAUSES = Backoff(1.0, 60.0, jitter=0.0)  # after turns that failed one after the other


async def steadily(guard: Guard, what: str, about: str, turn: Callable[[], Awaitable[object]]) -> None:
    """Take one turn after another until cancelled; a turn waits for its occasion by itself.

    A bug in a turn is reported and counted by `guard`, and the next one waits: no loop ends by it or spins.
    """
    failures = 0
    while True:
        failed = True
        with guard.around(what, about):
            await turn()
            failed = False
        failures = failures + 1 if failed else 0
        if failed:
            await asyncio.sleep(_PAUSES.after(failures))
