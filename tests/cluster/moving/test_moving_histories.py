"""24 members, in virtual time, on the real code that allocates, repairs and moves: whatever happens to them.

No copy is let go of while fewer others have it than its pin asks for, no acknowledged pin has fewer than that
but by what an operator takes out, and in the end all is as it should be and quiet.
"""

from __future__ import annotations

import asyncio
import os

import pytest
from support.clock import virtual_time
from support.moving_history import MovingHistory

MANY = int(os.environ.get("PINFOLD_HISTORIES", "100"))


@pytest.mark.parametrize("seed", range(2))
def test_copies_stay_until_others_have_them_whatever_happens(seed: int) -> None:
    virtual_time(MovingHistory(seed).run)(15)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_many_histories() -> None:
    for seed in range(1000, 1000 + MANY):
        try:
            virtual_time(MovingHistory(seed).run)(60)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error


@virtual_time
async def test_one_that_is_away_for_a_minute_moves_nothing() -> None:
    history = MovingHistory(7, members=8, joined=8)
    world = history.world
    async with world.running():
        await history.begin(least=2)
        writes, fetched = world.writes(), world.fetched()
        await world.kill(3)
        await asyncio.sleep(60)
        await world.start(3)
        await asyncio.sleep(1800)
        assert (world.writes(), world.fetched()) == (writes, fetched)


@pytest.mark.parametrize("hours", [1, pytest.param(24, marks=[pytest.mark.slow, pytest.mark.timeout(0)])])
@virtual_time
async def test_one_that_is_away_for_long_moves_what_is_short_and_its_return_moves_nothing(hours: int) -> None:
    history = MovingHistory(8, members=8, joined=8)
    world = history.world
    async with world.running():
        await history.begin(least=2)
        lost = world.peers[3]
        short = sum(
            lost in pin.allocations and len(pin.allocations) == pin.options.replication_min
            for pin in world.parted.newest().values()
        )
        writes, fetched = world.writes(), world.fetched()
        await world.kill(3)
        await asyncio.sleep(3600 * hours)
        assert short > 0
        assert world.writes() - writes <= short
        assert world.fetched() - fetched <= 10 * 2 * short
        writes, fetched = world.writes(), world.fetched()
        await world.start(3)
        await asyncio.sleep(1800)
        assert (world.writes(), world.fetched()) == (writes, fetched)
