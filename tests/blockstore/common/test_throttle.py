"""What passes a throttle: counted, at the limit, and in turns."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clock import virtual_time

from blockstore.common.throttle import Throttle

MIB = 1024 * 1024


def throttle(*limits: int | None) -> Throttle:
    """Its limit is the next of these each second, in the end the last one."""
    loop = asyncio.get_running_loop()
    return Throttle(lambda: limits[min(int(loop.time()), len(limits) - 1)], loop.time)


def test_without_a_limit_all_passes_at_once_and_is_counted() -> None:
    one = Throttle()
    assert [one.take(5 * MIB) for _ in range(3)] == [(5 * MIB, 0.0)] * 3
    assert one.passed()[:2] == (None, 15 * MIB)


@virtual_time
async def test_a_limit_is_kept_within_a_tenth_however_many_share_it() -> None:
    for limit, sizes in (
        (MIB, [20 * MIB]),
        (MIB, [MIB] * 20),
        (64 * 1024, [4096] * 300),
        (10**9, [10**9] * 9),
    ):
        one, begun = throttle(limit), asyncio.get_running_loop().time()
        await asyncio.gather(*map(one.let_pass, sizes))
        seconds = asyncio.get_running_loop().time() - begun
        assert 0.9 < sum(sizes) / limit / seconds < 1.1


@virtual_time
async def test_a_small_amount_does_not_wait_for_all_of_a_large_one() -> None:
    one = throttle(MIB)
    large = asyncio.create_task(one.let_pass(100 * MIB))
    await asyncio.sleep(1)
    begun = asyncio.get_running_loop().time()
    await one.let_pass(1000)
    assert asyncio.get_running_loop().time() - begun < 0.2
    large.cancel()


@virtual_time
async def test_the_limit_of_another_hour_holds_from_its_first_second_on() -> None:
    one = throttle(MIB, MIB, None)
    begun = asyncio.get_running_loop().time()
    await one.let_pass(100 * MIB)
    assert asyncio.get_running_loop().time() - begun < 3
    assert one.passed().limit is None


@given(st.lists(st.integers(0, 5 * MIB), max_size=20), st.integers(64 * 1024, 10**9))
def test_slices_add_up_to_what_was_to_pass(sizes: Sequence[int], limit: int) -> None:
    one = Throttle(lambda: limit, lambda: 0.0)
    for size in sizes:
        left = size
        while left:
            part, wait = one.take(left)
            assert 0 < part <= left
            assert wait >= 0
            left -= part
    assert one.passed().total == sum(sizes)


@pytest.mark.parametrize("size", [0, 1])
async def test_what_is_within_the_burst_does_not_wait(size: int) -> None:
    await Throttle(lambda: 64 * 1024).let_pass(size)
