"""What a peer sent ends the work for that peer, and nothing beside it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from blockstore.common.guard import Guard
from blockstore.common.tasks import background, open_tasks


class Expected(Exception):
    pass


def fail(error: Exception) -> None:
    raise error


def test_what_nobody_foresaw_is_counted_and_told_with_its_peer(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard()
    with guard.around("reading a message", "12D3Koo"):
        fail(ValueError("label too long"))
    assert guard.failures == 1
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "reading a message for 12D3Koo failed" in record.getMessage()
    assert record.exc_info


@pytest.mark.parametrize("error", [Expected(), ExceptionGroup("two", [Expected(), Expected()])])
def test_what_networks_bring_is_neither(caplog: pytest.LogCaptureFixture, error: Exception) -> None:
    guard = Guard()
    with guard.around("sending", "12D3Koo", Expected):
        fail(error)
    assert guard.failures == 0
    assert not caplog.records


def test_a_group_with_a_bug_in_it_is_a_bug() -> None:
    guard = Guard()
    with guard.around("sending", "12D3Koo", Expected):
        fail(ExceptionGroup("two", [Expected(), KeyError("x")]))
    assert guard.failures == 1


async def test_cancellation_passes() -> None:
    guard = Guard()

    async def wait() -> None:
        with guard.around("waiting", "12D3Koo"):
            await asyncio.get_running_loop().create_future()

    task = asyncio.create_task(wait())
    await asyncio.wait([task], timeout=0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert guard.failures == 0


async def test_a_task_that_fails_ends_its_group_with_its_own_error() -> None:
    async def fail() -> None:
        raise KeyError("x")

    async def work_beside_it() -> None:
        async with open_tasks() as tasks:
            tasks.spawn(fail())
            await asyncio.get_running_loop().create_future()

    with pytest.raises(KeyError):
        await work_beside_it()


async def test_loops_end_with_their_block() -> None:
    ended = asyncio.Event()

    async def loop() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    async with background(loop()):
        await asyncio.wait([asyncio.ensure_future(ended.wait())], timeout=0)
        assert not ended.is_set()
    assert ended.is_set()
