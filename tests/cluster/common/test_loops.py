"""A loop outlives what goes wrong in one turn, and does not spin."""

from __future__ import annotations

import asyncio

from support.clock import virtual_time

from blockstore.common.guard import Guard
from cluster.common.loops import steadily


@virtual_time
async def test_a_turn_that_fails_is_counted_and_followed_by_a_longer_and_longer_pause() -> None:
    loop, guard, times = asyncio.get_running_loop(), Guard(), list[float]()

    async def turn() -> None:
        times.append(loop.time())
        if len(times) == 4:
            return  # all is well again
        if len(times) == 6:
            raise asyncio.CancelledError
        raise ZeroDivisionError

    began = loop.time()
    task = asyncio.create_task(steadily(guard, "trying", "a test", turn))
    await asyncio.wait([task])
    assert task.cancelled()
    assert [round(when - began) for when in times] == [0, 1, 3, 7, 7, 8]
    assert guard.failures == 4
