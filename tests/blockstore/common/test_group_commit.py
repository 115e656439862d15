"""What is asked while one group is done is the next group, and no ask harms another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from support.clock import virtual_time

from blockstore.common.group_commit import GroupCommit


@dataclass
class Slow:
    """Takes a second for each group; doubles even numbers, refuses odd ones, and fails at 0."""

    groups: list[list[int]] = field(default_factory=list)

    async def do(self, group: Sequence[int]) -> list[int | Exception]:
        self.groups.append(list(group))
        await asyncio.sleep(1)
        if 0 in group:
            raise OSError("disk full")
        return [ValueError(str(number)) if number % 2 else 2 * number for number in group]


def by_ten(number: int) -> int:
    return number % 10


@virtual_time
async def test_what_waits_together_goes_together_and_each_hears_of_its_own() -> None:
    slow = Slow()
    groups = GroupCommit(slow.do, by_ten)
    answers = asyncio.gather(*(groups.ask(number) for number in (2, 4, 1)), return_exceptions=True)
    await asyncio.sleep(0.5)
    later = asyncio.gather(*(groups.ask(number) for number in (6, 8)))
    assert await later == [12, 16]
    assert (await answers)[:2] == [4, 8]
    assert isinstance((await answers)[2], ValueError)
    assert slow.groups == [[2, 4, 1], [6, 8]]


@virtual_time
async def test_one_key_is_once_in_a_group_in_order_and_delays_no_other() -> None:
    slow = Slow()
    groups = GroupCommit(slow.do, by_ten, most=3)
    asks = [groups.ask(number) for number in (2, 12, 22, 4, 14, 6, 8)]
    assert await asyncio.gather(*asks) == [4, 24, 44, 8, 28, 12, 16]
    assert slow.groups == [[2, 4, 6], [12, 14, 8], [22]]


@virtual_time
async def test_a_group_that_fails_leaves_the_next_one_alone() -> None:
    groups = GroupCommit(Slow().do, by_ten)
    failing = asyncio.gather(groups.ask(0), groups.ask(2), return_exceptions=True)
    await asyncio.sleep(0.5)
    assert await groups.ask(4) == 8
    assert [type(error) for error in await failing] == [OSError, OSError]


@virtual_time
async def test_who_goes_away_takes_nothing_back_and_finishing_waits_for_it() -> None:
    slow = Slow()
    groups = GroupCommit(slow.do, by_ten)
    first = asyncio.create_task(groups.ask(2))
    await asyncio.sleep(0.5)
    second = asyncio.create_task(groups.ask(4))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await groups.finish()
    assert slow.groups == [[2], [4]]
