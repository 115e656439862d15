"""Who is held back for how long, as a table of events."""

from __future__ import annotations

import pytest

from bitswap.serving.work_limits import WorkLimits, WorkRates

RATES = WorkRates(burst=1000, rate=10, shared=100, earned=4, abuse=60)


def test_a_burst_is_free_and_what_is_above_it_is_paid_for_in_time() -> None:
    pace = WorkLimits(RATES)
    assert pace.charge("amy", 1000, 0) == 0
    assert pace.charge("amy", 200, 0) == 2
    pace.release("amy")
    assert pace.charge("amy", 100, 2) == 1
    assert repr(pace) == "<Pace: 1 peers, 1 held back>"


def test_the_allowance_comes_back_with_time_up_to_the_burst() -> None:
    pace = WorkLimits(RATES)
    pace.charge("amy", 1000, 0)
    assert pace.charge("amy", 100, 10) == 0
    assert pace.charge("amy", 1000, 10_000) == 0
    assert pace.charge("amy", 1, 10_000) > 0


def test_those_who_send_too_much_share_what_is_left() -> None:
    pace = WorkLimits(RATES)
    for number in range(4):
        pace.charge(f"p{number}", 2000, 0)
    assert pace.charge("p0", 100, 0) == 4
    for number in range(1, 4):
        pace.release(f"p{number}")
    assert pace.charge("p0", 100, 0) == 1


@pytest.mark.parametrize("peers", [8, 64])
def test_many_peers_together_make_hardly_more_work_than_a_few_and_a_quiet_one_goes_on(peers: int) -> None:
    pace = WorkLimits(RATES)
    free = {f"p{number}": 0.0 for number in range(peers)}
    items, now = 0, 0.0
    while (now := min(free.values())) < 100:
        peer = min(free, key=lambda one: free[one])
        pace.release(peer)
        items += 20
        free[peer] = now + max(0.001, pace.charge(peer, 20, now))
    assert items <= 4 * RATES.burst + 2 * 100 * RATES.shared + 100 * peers
    assert pace.charge("amy", 50, now) == 0


def test_fifty_thousand_small_blocks_are_fetched_without_a_pause() -> None:
    """Kubo asks whether a block is here, asks for it, and cancels: three entries a block, 10 000 a second."""
    pace = WorkLimits()
    assert sum(_fetched(pace, now / 10) for now in range(50)) == 0


def _fetched(pace: WorkLimits, now: float) -> float:
    waited = pace.charge("kubo", 3000, now)
    pace.earn("kubo", 1000, now)
    return waited


def test_who_goes_on_and_on_is_an_abuse_and_who_stops_or_earns_is_not() -> None:
    pace = WorkLimits(RATES)
    now = 0.0
    while not pace.is_abuse("eve"):
        now += pace.charge("eve", 1000, now)
        pace.release("eve")
    assert 60 <= now <= 70
    pace.earn("eve", 1, now)
    assert not pace.is_abuse("eve")
    pace = WorkLimits(RATES)
    for hour in range(100):
        assert pace.charge("amy", 1500, 3600.0 * hour) == 5
        assert not pace.is_abuse("amy")


def test_nobody_has_a_new_allowance_by_connecting_again_and_memory_is_bounded() -> None:
    pace = WorkLimits(RATES)
    pace.charge("amy", 1000, 0)
    assert pace.charge("amy", 10, 0) > 0
    for number in range(3000):
        pace.charge(f"p{number}", 1, 0)
    assert repr(pace) == "<Pace: 1024 peers, 1 held back>"


@pytest.mark.parametrize("items", [10**6, 10**9])
def test_no_message_holds_its_peer_back_for_ever(items: int) -> None:
    assert WorkLimits(RATES).charge("amy", items, 0) == 30
