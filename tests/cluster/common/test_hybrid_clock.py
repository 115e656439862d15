"""Stamps grow, whatever the wall clock does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cluster.common.hybrid_clock import MAX_STAMP, TOLERANCE, HybridClock, seconds


class Wall:
    def __init__(self, now: float = 1e9) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@given(jumps=st.lists(st.floats(-1e6, 1e6), max_size=30))
def test_stamps_grow_while_the_wall_clock_jumps(jumps: list[float]) -> None:
    wall = Wall()
    clock = HybridClock(wall)
    last = 0
    for jump in jumps:
        wall.now = max(0.0, wall.now + jump)
        stamp = clock.tick()
        assert last < stamp <= MAX_STAMP
        last = stamp


def test_a_stamp_seen_is_followed_when_it_is_near() -> None:
    wall = Wall()
    clock = HybridClock(wall)
    near = HybridClock(Wall(wall.now + TOLERANCE / 2)).tick()
    assert clock.observe(near) > 0
    assert clock.tick() > near


def test_a_clock_a_day_ahead_is_noticed_and_not_followed() -> None:
    wall = Wall()
    clock = HybridClock(wall)
    far = HybridClock(Wall(wall.now + 86_400)).tick()
    assert round(clock.observe(far)) == 86_400
    assert seconds(clock.tick()) == wall.now


def test_a_deliberate_change_is_newer_than_what_it_replaces_even_from_the_future() -> None:
    wall = Wall()
    far = HybridClock(Wall(wall.now + 86_400)).tick()
    assert HybridClock(wall).tick(above=far) > far


def test_a_clock_set_back_is_noticed() -> None:
    wall = Wall()
    clock = HybridClock(wall)
    clock.tick()
    wall.now -= 86_400
    assert round(clock.ahead()) == 86_400
    assert seconds(clock.tick()) > wall.now


def test_what_one_record_says_of_the_future_drags_no_later_stamp_along() -> None:
    wall = Wall()
    clock = HybridClock(wall)
    assert clock.tick(above=MAX_STAMP - 1) == MAX_STAMP
    assert seconds(clock.tick()) == wall.now
