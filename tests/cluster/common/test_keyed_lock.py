"""Whoever decides about a pin does so alone, in the order of asking, whatever else it asks for."""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from support.clock import virtual_time
from support.memory_cluster import cid

from cluster.common.keyed_lock import KeyedLock

GROUPS = st.lists(st.tuples(st.sets(st.integers(0, 4), max_size=4), st.booleans()), max_size=12)


@given(GROUPS)
def test_no_two_hold_one_cid_all_are_served_in_order_and_who_goes_away_lets_nobody_in(
    groups: list[tuple[set[int], bool]],
) -> None:
    @virtual_time
    async def scenario() -> None:
        locks, holding, served = KeyedLock(), Counter[int](), list[int]()

        async def hold(name: int, numbers: set[int]) -> None:
            async with locks.of(*(cid(number) for number in numbers)):
                holding.update(numbers)
                assert max(holding.values(), default=0) <= 1
                served.append(name)
                await asyncio.sleep(1)
                holding.subtract(numbers)

        tasks = [asyncio.create_task(hold(name, numbers)) for name, (numbers, _) in enumerate(groups)]
        await asyncio.sleep(0.5)
        for name, (_, leaves) in enumerate(groups):
            if leaves and name not in served:
                tasks[name].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for number in range(5):
            asked = [name for name in served if number in groups[name][0]]
            assert asked == sorted(asked)
        assert asyncio.get_running_loop().time() < len(groups) + 1
        async with asyncio.timeout(1), locks.of(*map(cid, range(5))):
            pass

    scenario()


@virtual_time
async def test_the_same_cid_twice_is_once() -> None:
    locks = KeyedLock()
    async with asyncio.timeout(1), locks.of(cid(1), cid(1)), locks.of(cid(2)), locks.of():
        pass
