"""Loops that outlive what goes wrong in one turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from blockstore.common.guard import Guard

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds after a turn that failed, doubled by each one that follows


async def steadily(guard: Guard, what: str, about: str, turn: Callable[[], Awaitable[object]]) -> None:
    """Take one turn after another until cancelled; a turn waits for its occasion by itself.

    A bug in a turn is told and counted by `guard`, and the next one waits: no loop ends by it or spins.
    """
    pause = _FIRST_PAUSE
    while True:
        went_well = False
        with guard.around(what, about):
            await turn()
            went_well = True
        if went_well:
            pause = _FIRST_PAUSE
        else:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
