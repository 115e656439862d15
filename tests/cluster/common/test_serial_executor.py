"""Jobs run one after the other, and to their end."""

from __future__ import annotations

import asyncio
from functools import partial

from support.clock import virtual_time

from cluster.common.serial_executor import SerialExecutor


@virtual_time
async def test_jobs_never_overlap_and_keep_their_order() -> None:
    serial, seen = SerialExecutor(), list[str]()

    async def job(name: str) -> str:
        seen.append(f"{name} begins")
        await asyncio.sleep(1)
        seen.append(f"{name} ends")
        return name

    assert await asyncio.gather(*(serial.run(partial(job, name)) for name in "ab")) == ["a", "b"]
    assert seen == ["a begins", "a ends", "b begins", "b ends"]


@virtual_time
async def test_a_job_ends_though_its_caller_has_gone_and_is_waited_for() -> None:
    serial, ended = SerialExecutor(), asyncio.Event()

    async def job() -> None:
        await asyncio.sleep(1)
        ended.set()

    caller = asyncio.create_task(serial.run(job))
    await asyncio.sleep(0.1)
    caller.cancel()
    await serial.idle()
    assert ended.is_set()
