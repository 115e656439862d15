"""The clock that the simulations run on."""

from __future__ import annotations

import asyncio
import time

import pytest
from support.clock import AutoJumpLoop, virtual_time


@virtual_time
async def test_a_day_of_sleep_passes_at_once() -> None:
    loop = asyncio.get_running_loop()
    real = time.monotonic()
    await asyncio.sleep(86_400)
    assert loop.time() == pytest.approx(86_400)
    assert time.monotonic() - real < 5


@virtual_time
async def test_timers_fire_in_order_of_their_time() -> None:
    order: list[int] = []

    async def note(delay: int) -> None:
        await asyncio.sleep(delay)
        order.append(delay)

    await asyncio.gather(*(note(delay) for delay in (3, 1, 2)))
    assert order == [1, 2, 3]


@virtual_time
async def test_executor_jobs_run_and_raise_as_in_a_thread() -> None:
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(None, sum, [1, 2]) == 3
    with pytest.raises(ValueError):
        await loop.run_in_executor(None, int, "x")


def test_waiting_for_what_never_comes_is_a_deadlock_with_a_name() -> None:
    async def wait_for_nothing() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="deadlock"), asyncio.Runner(loop_factory=AutoJumpLoop) as runner:
        runner.run(wait_for_nothing())
