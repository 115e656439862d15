from __future__ import annotations

import asyncio
import threading

import pytest
import trio

from node.p2p.portal import Portal, PortalClosed, open_portal


async def _echo(value: int) -> int:
    await trio.lowlevel.checkpoint()
    return value


async def test_work_runs_on_the_trio_thread_and_its_result_comes_back() -> None:
    async def where() -> str:
        return threading.current_thread().name

    async with open_portal() as portal:
        assert await portal.to_trio(_echo, 7) == 7
        assert await portal.to_trio(where) == "libp2p"


async def test_an_exception_of_the_work_reaches_the_caller() -> None:
    async def fail() -> None:
        raise KeyError("x")

    async with open_portal() as portal:
        with pytest.raises(KeyError, match="x"):
            await portal.to_trio(fail)


async def test_cancelling_here_ends_the_work_there_before_it_returns() -> None:
    started, ended = asyncio.Event(), []

    async with open_portal() as portal:

        async def forever() -> None:
            portal.reply(started.set)
            try:
                await trio.sleep_forever()
            finally:
                ended.append(True)

        task = asyncio.create_task(portal.to_trio(forever))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [True]


async def test_jobs_arrive_in_the_order_posted() -> None:
    async with open_portal() as portal:
        seen: list[int] = []
        for number in range(2000):
            portal.post(seen.append, number)
        await portal.to_trio(_echo, 0)
        assert seen == list(range(2000))


async def test_replies_arrive_in_the_order_sent() -> None:
    async with open_portal() as portal:
        seen: list[int] = []

        async def talk() -> None:
            for number in range(2000):
                portal.reply(seen.append, number)

        await portal.to_trio(talk)
        assert seen == list(range(2000))


async def _crash(portal: Portal) -> None:
    async def bug() -> None:
        raise RuntimeError("a bug in a system task ends trio")

    async def spawn() -> None:
        trio.lowlevel.spawn_system_task(bug)
        await trio.sleep_forever()

    with pytest.raises(PortalClosed):
        await portal.to_trio(spawn)


async def test_trio_is_started_again_after_it_died_and_its_programs_too() -> None:
    starts: asyncio.Queue[int] = asyncio.Queue()

    async with open_portal() as portal:

        async def program() -> None:
            portal.reply(starts.put_nowait, 1)
            await trio.sleep_forever()

        async with portal.running("test", program):
            await starts.get()
            await _crash(portal)
            await starts.get()
            assert await portal.to_trio(_echo, 3) == 3


async def test_while_trio_is_dead_the_portal_says_so() -> None:
    async with open_portal() as portal:
        await _crash(portal)
        with pytest.raises(PortalClosed):
            await portal.to_trio(_echo, 1)


async def test_a_program_that_fails_is_started_again_and_others_live() -> None:
    starts: asyncio.Queue[int] = asyncio.Queue()

    async with open_portal() as portal:

        async def program() -> None:
            portal.reply(starts.put_nowait, 1)
            raise ValueError("bug")

        async with portal.running("test", program):
            await starts.get()
            await starts.get()
            assert await portal.to_trio(_echo, 3) == 3


async def test_after_closing_nothing_crosses() -> None:
    async with open_portal() as portal:
        pass
    with pytest.raises(PortalClosed):
        await portal.to_trio(_echo, 1)
    assert not [thread for thread in threading.enumerate() if thread.name == "libp2p"]


async def test_a_start_that_is_broken_off_leaves_no_thread_and_says_nothing() -> None:
    errors: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))

    async def opened() -> None:
        async with open_portal():
            pass

    opening = asyncio.create_task(opened())
    await asyncio.sleep(0)  # the thread runs, and nobody has heard of it yet
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert errors == []
    assert [thread for thread in threading.enumerate() if thread.name == "libp2p"] == []
