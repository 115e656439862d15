"""Back-off: pauses grow to their limit, are spread around it, and start afresh for each loop."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockstore.common.backoff import Backoff

DRAWS = st.floats(0, 1)


def test_each_pause_is_twice_the_one_before_up_to_the_longest() -> None:
    assert list(islice(Backoff(1.0, 6.0, jitter=0.0), 5)) == [1.0, 2.0, 4.0, 6.0, 6.0]


def test_every_iteration_begins_with_the_first_pause() -> None:
    backoff = Backoff(0.5, 60.0, jitter=0.0)
    assert list(islice(backoff, 3)) == list(islice(backoff, 3)) == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(("draw", "pause"), [(0.0, 6.0), (0.5, 8.0), (1.0, 10.0)])
def test_pauses_are_spread_by_the_jitter_either_way(draw: float, pause: float) -> None:
    assert Backoff(8.0, 60.0, 0.25, lambda: draw).after(1) == pause


@given(st.integers(1, 5000), DRAWS)
def test_pauses_only_grow_and_stay_in_bounds(failures: int, draw: float) -> None:
    backoff = Backoff(10.0, 3600.0, draw=lambda: draw)
    pause = backoff.after(failures)
    assert 7.5 <= pause <= 4500.0
    assert backoff.after(failures + 1) >= pause
