"""Who is held back for how long, as a table of events."""

from __future__ import annotations

import pytest

from bitswap.serving.work_limits import WorkLimits, WorkRates

RATES = WorkRates(burst=1000, rate=10, shared=100, earned=4, abuse=60)


def test_a_burst_is_free_and_what_is_above_it_is_paid_for_in_time() -> None:
    limits = WorkLimits(RATES)
    assert limits.charge("amy", 1000, 0) == 0
    assert limits.charge("amy", 200, 0) == 2
    limits.release("amy")
    assert limits.charge("amy", 100, 2) == 1
    assert repr(limits) == "<WorkLimits: 1 peers, 1 held back>"


def test_the_allowance_comes_back_with_time_up_to_the_burst() -> None:
    limits = WorkLimits(RATES)
    limits.charge("amy", 1000, 0)
    assert limits.charge("amy", 100, 10) == 0
    assert limits.charge("amy", 1000, 10_000) == 0
    assert limits.charge("amy", 1, 10_000) > 0


def test_those_who_send_too_much_share_what_is_left() -> None:
    limits = WorkLimits(RATES)
    for number in range(4):
        limits.charge(f"p{number}", 2000, 0)
    assert limits.charge("p0", 100, 0) == 4
    for number in range(1, 4):
        limits.release(f"p{number}")
    assert limits.charge("p0", 100, 0) == 1


@pytest.mark.parametrize("peers", [8, 64])
def test_many_peers_together_make_hardly_more_work_than_a_few_and_a_quiet_one_goes_on(peers: int) -> None:
    limits = WorkLimits(RATES)
    free = {f"p{number}": 0.0 for number in range(peers)}
    items, now = 0, 0.0
    while (now := min(free.values())) < 100:
        peer = min(free, key=lambda one: free[one])
        limits.release(peer)
        items += 20
        free[peer] = now + max(0.001, limits.charge(peer, 20, now))
    assert items <= 4 * RATES.burst + 2 * 100 * RATES.shared + 100 * peers
    assert limits.charge("amy", 50, now) == 0


def test_fifty_thousand_small_blocks_are_fetched_without_a_pause() -> None:
    """Kubo asks whether a block is here, asks for it, and cancels: three entries a block, 10 000 a second."""
    limits = WorkLimits()
    assert sum(_fetched(limits, now / 10) for now in range(50)) == 0


def _fetched(limits: WorkLimits, now: float) -> float:
    waited = limits.charge("kubo", 3000, now)
    limits.earn("kubo", 1000, now)
    return waited


def test_who_goes_on_and_on_is_an_abuse_and_who_stops_or_earns_is_not() -> None:
    limits = WorkLimits(RATES)
    now = 0.0
    while not limits.is_abuse("eve"):
        now += limits.charge("eve", 1000, now)
        limits.release("eve")
    assert 60 <= now <= 70
    limits.earn("eve", 1, now)
    assert not limits.is_abuse("eve")
    limits = WorkLimits(RATES)
    for hour in range(100):
        assert limits.charge("amy", 1500, 3600.0 * hour) == 5
        assert not limits.is_abuse("amy")


def test_nobody_has_a_new_allowance_by_connecting_again_and_memory_is_bounded() -> None:
    limits = WorkLimits(RATES)
    limits.charge("amy", 1000, 0)
    assert limits.charge("amy", 10, 0) > 0
    for number in range(3000):
        limits.charge(f"p{number}", 1, 0)
    assert repr(limits) == "<WorkLimits: 1024 peers, 1 held back>"


@pytest.mark.parametrize("items", [10**6, 10**9])
def test_no_message_holds_its_peer_back_for_ever(items: int) -> None:
    assert WorkLimits(RATES).charge("amy", items, 0) == 30
