from __future__ import annotations

import asyncio
from functools import partial

import pytest

from blockstore.common.guard import Guard
from cluster.ports import GossipMessage
from node.p2p.messaging.flow_control import BoundedQueue, CreditWindow, SerialQueue


async def _hold(budget: CreditWindow, size: int, log: list[int], release: asyncio.Event) -> None:
    async with budget.hold(size):
        log.append(size)
        await release.wait()


async def _settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_budget_admits_what_fits_in_the_order_it_came() -> None:
    budget, log = CreditWindow(100), list[int]()
    first, rest = asyncio.Event(), asyncio.Event()
    tasks = [asyncio.create_task(_hold(budget, 80, log, first))]
    tasks += [asyncio.create_task(_hold(budget, size, log, rest)) for size in (30, 10, 500)]
    await _settled()
    assert log == [80]  # 10 would fit, and waits behind 30 all the same
    first.set()
    await _settled()
    assert log == [80, 30, 10]
    rest.set()
    await asyncio.gather(*tasks)
    assert log == [80, 30, 10, 500]  # larger than everything: alone


async def test_giving_up_in_the_queue_lets_those_behind_through() -> None:
    budget, log, go = CreditWindow(100), list[int](), asyncio.Event()
    holder = asyncio.create_task(_hold(budget, 60, log, go))
    await _settled()
    large = asyncio.create_task(_hold(budget, 90, log, go))
    small = asyncio.create_task(_hold(budget, 20, log, go))
    await _settled()
    assert log == [60]
    large.cancel()
    await _settled()
    assert log == [60, 20]
    go.set()
    await asyncio.gather(holder, small)
    await _hold(budget, 100, log, go)


async def test_giving_up_in_the_moment_of_admission_gives_the_room_back() -> None:
    budget, log, go = CreditWindow(10), list[int](), asyncio.Event()
    holder = asyncio.create_task(_hold(budget, 10, log, go))
    await _settled()
    waiter = asyncio.create_task(_hold(budget, 10, log, asyncio.Event()))
    await _settled()
    go.set()
    holder.add_done_callback(lambda _: waiter.cancel())
    with pytest.raises(asyncio.CancelledError):
        await waiter
    await _hold(budget, 10, log, go)


async def test_an_inbox_handles_one_at_a_time_in_order_and_survives_errors(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log, tasks, guard = list[str](), list[asyncio.Task[None]](), Guard()
    inbox = SerialQueue("test", "peer", lambda work: tasks.append(asyncio.create_task(work)), guard)

    async def job(name: str) -> None:
        log.append(f"{name} begins")
        await asyncio.sleep(0)
        if name == "b":
            raise RuntimeError("b is ill")
        log.append(f"{name} ends")

    for name in "abc":
        inbox.put(partial(job, name))
    await asyncio.gather(*tasks)
    assert log == ["a begins", "a ends", "b begins", "c begins", "c ends"]
    assert "b is ill" in caplog.text
    assert guard.failures == 1
    inbox.put(lambda: job("d"))
    await asyncio.gather(*tasks)
    assert log[-1] == "d ends"


async def test_a_backlog_has_room_for_others_when_one_author_says_too_much() -> None:
    backlog = BoundedQueue(most=100, least=10)
    assert [backlog.put(said("loud", 40)) for _ in range(4)] == [True, True, False, False]
    assert [backlog.put(said("small", 0)) for _ in range(12)] == [True] * 10 + [False] * 2
    assert not backlog.put(said("third", 30))
    assert await backlog.get() == said("loud", 40)
    assert backlog.put(said("third", 30))
    assert [(await backlog.get()).author for _ in range(12)] == ["loud", *["small"] * 10, "third"]


def said(author: str, size: int) -> GossipMessage:
    return GossipMessage(author, "forwarder", bytes(size))
