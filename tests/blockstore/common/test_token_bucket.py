"""Rates: any amounts at any times, and no more than burst and rate allow."""

from hypothesis import given
from hypothesis import strategies as st

from blockstore.common.token_bucket import TokenBucket

RATES = st.floats(0.1, 1000.0)
EVENTS = st.lists(st.tuples(st.floats(0.0, 5.0), st.integers(1, 50)), max_size=50)


@given(RATES, st.integers(1, 100), EVENTS)
def test_never_more_is_taken_than_the_burst_and_what_flowed_back(
    rate: float, burst: int, events: list[tuple[float, int]]
) -> None:
    bucket, now, taken = TokenBucket(rate, burst), 1000.0, 0
    for pause, amount in events:
        now += pause
        if bucket.take(amount, now) == 0.0:
            taken += amount
        assert taken <= burst + rate * (now - 1000.0) + 1e-2


@given(RATES, st.integers(50, 100), EVENTS)
def test_whoever_waits_as_told_is_served_and_whoever_does_not_is_not(
    rate: float, burst: int, events: list[tuple[float, int]]
) -> None:
    bucket, now = TokenBucket(rate, burst), 1000.0
    for pause, amount in events:
        now += pause
        if (wait := bucket.take(amount, now)) > 1e-3:
            assert bucket.take(amount, now + wait / 2) > 0.0
            now += wait
            assert bucket.take(amount, now) == 0.0


@given(RATES, st.integers(1, 100), EVENTS)
def test_whoever_waits_for_debts_to_be_gone_keeps_to_the_rate(
    rate: float, burst: int, events: list[tuple[float, int]]
) -> None:
    bucket, now, owed = TokenBucket(rate, burst), 1000.0, 0
    for pause, amount in events:
        now += pause
        now += bucket.owe(amount, now)
        owed += amount
        assert owed <= burst + rate * (now - 1000.0) + 1e-2


def test_what_was_refused_costs_nothing() -> None:
    bucket = TokenBucket(1.0, 2)
    assert [bucket.take(1, 10.0) for _ in range(5)] == [0.0, 0.0, 1.0, 1.0, 1.0]
    assert bucket.take(1, 11.0) == 0.0


def test_what_is_in_it_is_told_and_what_is_owed_too() -> None:
    bucket = TokenBucket(10, 100)
    assert bucket.available(1000.0) == 100
    assert bucket.owe(150, 1000.0) == 5
    assert bucket.available(1000.0) == -50
    assert bucket.available(1005.0) == 0
    assert bucket.available(2000.0) == 100
