"""Who holds a pin: ipfs-cluster's worked example, and what we add to it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.allocation.allocator import AllocationFacts, allocate, judge
from cluster.errors import NotEnoughPeers
from cluster.metrics.metric_store import FREESPACE, PING, Metric
from cluster.pin import EVERYWHERE, PinOptions

NOW = 1000.0
BY = ("tag:region", FREESPACE)
REGIONS = {"P1": ("eu", 100), "P2": ("eu", 300), "P3": ("us", 200), "P4": ("us", 50), "P5": ("ap", 180)}


def metrics_of(peers: dict[str, tuple[str, int]], silent: Iterable[str] = ()) -> list[Metric]:
    found = []
    for peer, (region, free) in peers.items():
        expire = NOW - 1 if peer in set(silent) else NOW + 30
        found += [
            Metric(PING, peer, "{}", 0, expire, NOW),
            Metric("tag:region", peer, region, 0, expire, NOW, partitionable=True),
            Metric(FREESPACE, peer, str(free), free, expire, NOW),
        ]
    return found


class Facts(TypedDict, total=False):
    members: Sequence[str]
    allocate_by: Sequence[str]
    size: int
    current: Sequence[str]
    priority: Sequence[str]
    drained: frozenset[str]


def place(
    low: int, high: int, *, silent: Iterable[str] = (), user: tuple[str, ...] = (), **facts: Unpack[Facts]
) -> list[str]:
    options = PinOptions(replication_min=low, replication_max=high, user_allocations=user)
    given: Facts = {"members": list(REGIONS), "allocate_by": BY, **facts}
    metrics = metrics_of(REGIONS, silent)
    return list(allocate(AllocationFacts(options=options, metrics=metrics, now=NOW, **given)))


def test_the_worked_example_of_ipfs_cluster() -> None:
    assert place(2, 3) == ["P2", "P3", "P5"]
    assert place(1, 5) == ["P2", "P3", "P5", "P1", "P4"]


def test_the_worked_example_of_pinning_again_with_one_live_holder() -> None:
    assert place(2, 3, current=["P2"]) == ["P2", "P3", "P5"]


def test_live_holders_count_toward_the_spread() -> None:
    assert place(2, 3, current=["P3"]) == ["P3", "P2", "P5"]
    assert place(4, 4, current=["P4", "P5"]) == ["P4", "P5", "P2", "P1"]


def test_everywhere_names_nobody() -> None:
    assert place(EVERYWHERE, EVERYWHERE) == []


def test_members_of_strangers_are_not_candidates() -> None:
    assert place(1, 5, members=["P1", "P4"]) == ["P1", "P4"]


def test_wishes_come_first_and_others_fill_up() -> None:
    assert place(1, 3, user=("P4", "unknown", "P4", "P1")) == ["P4", "P1", "P5"]


def test_a_silent_wish_is_not_granted() -> None:
    assert place(1, 2, user=("P4",), silent=["P4"]) == ["P2", "P3"]


def test_the_adding_member_comes_before_the_ranking() -> None:
    assert place(1, 2, priority=["P4"]) == ["P4", "P2"]


def test_the_adding_member_needs_no_room_because_the_data_is_there() -> None:
    assert place(1, 2, priority=["P4"], size=150) == ["P4", "P2"]


def test_a_member_without_room_for_the_size_is_out_and_the_error_says_so() -> None:
    assert place(1, 5, size=150) == ["P2", "P3", "P5"]
    with pytest.raises(NotEnoughPeers) as failure:
        place(4, 5, size=150, silent=["P5"])
    assert "Needed at least: 4. Wanted at most: 5. Available candidates: 2." in str(failure.value)
    assert "2 without room for 150 bytes" in str(failure.value)
    assert "1 not heard from lately" in str(failure.value)


def test_a_member_without_a_metric_that_decides_is_out() -> None:
    with pytest.raises(NotEnoughPeers, match='without metric "tag:rack"'):
        place(1, 1, allocate_by=("tag:rack",))


def test_an_absent_holder_keeps_its_place_while_the_minimum_is_live() -> None:
    assert place(2, 3, current=["P1", "P3", "P4"], silent=["P4"]) == ["P1", "P3", "P4"]


def test_below_the_minimum_absent_holders_are_replaced() -> None:
    assert place(2, 3, current=["P1", "P3", "P4"], silent=["P3", "P4"]) == ["P1", "P5", "P2"]


def test_a_holder_without_room_for_more_stays() -> None:
    assert place(2, 2, current=["P4", "P2"], size=250) == ["P4", "P2"]


def test_too_many_holders_lose_the_absent_ones_first() -> None:
    assert place(1, 2, current=["P1", "P2", "P3"], silent=["P2"]) == ["P1", "P3"]


def test_too_many_live_holders_keep_the_spread() -> None:
    assert place(1, 2, current=["P1", "P2", "P3"]) == ["P2", "P3"]


def test_fewer_holders_than_the_maximum_are_topped_up() -> None:
    assert place(1, 3, current=["P1"]) == ["P1", "P3", "P5"]


def test_inner_tags_count_inside_their_outer_group_only() -> None:
    peers = {"A1": ("eu", "r1"), "A2": ("eu", "r2"), "B1": ("us", "r1"), "B2": ("us", "r2")}
    metrics = [Metric(PING, peer, "{}", 0, NOW + 9, NOW) for peer in peers]
    for peer, (region, rack) in peers.items():
        metrics.append(Metric("tag:region", peer, region, 0, NOW + 9, NOW, partitionable=True))
        metrics.append(Metric("tag:rack", peer, rack, 0, NOW + 9, NOW, partitionable=True))
    chosen = allocate(
        AllocationFacts(
            options=PinOptions(replication_min=2, replication_max=3),
            members=list(peers),
            metrics=metrics,
            now=NOW,
            allocate_by=("tag:region", "tag:rack"),
            current=["A1"],
        )
    )
    assert chosen == ("A1", "B1", "A2")


@dataclass(frozen=True)
class Situation:
    peers: dict[str, tuple[str, int]]  # name -> (region, free bytes)
    silent: Sequence[str]
    current: Sequence[str]
    priority: Sequence[str]
    options: PinOptions
    size: int


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    names = draw(st.lists(st.sampled_from([f"p{i}" for i in range(9)]), unique=True, max_size=9))
    peers = {
        name: (draw(st.sampled_from(["eu", "us", "ap"])), draw(st.integers(0, 5)) * 100) for name in names
    }
    low = draw(st.integers(1, 4))
    some = st.lists(st.sampled_from([*names, "stranger"]), unique=True, max_size=4)
    return Situation(
        peers=peers,
        silent=draw(some),
        current=draw(some),
        priority=draw(some),
        options=PinOptions(
            replication_min=low,
            replication_max=low + draw(st.integers(0, 3)),
            user_allocations=tuple(draw(some)),
        ),
        size=draw(st.sampled_from([0, 150, 450])),
    )


def run(situation: Situation, seed: int = 0) -> tuple[str, ...]:
    members = list(situation.peers)
    metrics = metrics_of(situation.peers, situation.silent)
    random.Random(seed).shuffle(members)
    random.Random(seed).shuffle(metrics)
    return allocate(
        AllocationFacts(
            options=situation.options,
            members=members,
            metrics=metrics,
            now=NOW,
            allocate_by=BY,
            size=situation.size,
            current=situation.current,
            priority=situation.priority,
        )
    )


@given(situations())
def test_the_answer_keeps_the_promises_or_there_is_none(situation: Situation) -> None:
    options, peers, silent = situation.options, situation.peers, situation.silent
    live = set(peers) - set(silent)
    roomy = {p for p in live if peers[p][1] >= max(1, situation.size)}
    holding = live & {*situation.current, *situation.priority}
    try:
        chosen = run(situation)
    except NotEnoughPeers:
        assert len(roomy | holding) < options.replication_min
        return
    assert len(set(chosen)) == len(chosen)
    assert len(chosen) <= options.replication_max
    assert len(set(chosen) & live) >= options.replication_min
    assert set(chosen) - set(situation.current) <= roomy | holding
    assert set(chosen) <= set(peers)


@given(situations(), st.integers(0, 1000))
def test_the_answer_does_not_depend_on_any_order(situation: Situation, seed: int) -> None:
    assert outcome(situation, seed) == outcome(situation, 0)


def outcome(situation: Situation, seed: int) -> tuple[str, ...] | str:
    try:
        return run(situation, seed)
    except NotEnoughPeers as failure:
        return str(failure)


@given(situations())
def test_asking_again_moves_nothing(situation: Situation) -> None:
    try:
        chosen = run(situation)
        again = run(replace(situation, current=chosen))
    except NotEnoughPeers:
        return
    assert set(again) == set(chosen)


def judged(
    low: int, high: int, silent: Iterable[str] = (), **facts: Unpack[Facts]
) -> dict[str, tuple[bool, str]]:
    options = PinOptions(replication_min=low, replication_max=high)
    given: Facts = {"members": list(REGIONS), "allocate_by": BY, **facts}
    metrics = metrics_of(REGIONS, silent)
    found = judge(AllocationFacts(options=options, metrics=metrics, now=NOW, **given))
    return {one.peer: (one.holds, one.reason) for one in found}


def test_of_every_member_it_is_told_why_it_holds_a_pin_or_not() -> None:
    found = judged(2, 3, silent=["P5"], current=["P4"], priority=["P1"], size=60)
    assert list(found)[:2] == ["P4", "P1"]
    assert found["P4"] == (True, "holds it already")
    assert found["P1"] == (True, "has the data already")
    assert found["P5"] == (False, "not heard from lately")
    assert sorted(reason for holds, reason in found.values() if not holds) == [
        "not heard from lately", "not needed: 3 others go before it",
    ]  # fmt: skip
    assert judged(1, 1, size=250)["P3"] == (False, "without room for 250 bytes")
    assert judged(EVERYWHERE, EVERYWHERE)["P1"] == (True, "every member holds it")


@given(st.integers(1, 5), st.integers(0, 400), st.sets(st.sampled_from(sorted(REGIONS)), max_size=3))
def test_who_is_judged_to_hold_a_pin_is_who_gets_it(most: int, size: int, current: set[str]) -> None:
    facts: Facts = {"size": size, "current": sorted(current)}
    found = judged(1, most, **facts)
    try:
        chosen = place(1, most, **facts)
    except NotEnoughPeers:
        chosen = []
    assert [peer for peer, (holds, _) in found.items() if holds] == chosen
    assert found.keys() == REGIONS.keys()


def test_a_drained_member_gets_nothing_new_and_keeps_what_it_holds() -> None:
    drained = frozenset({"P2"})
    assert place(2, 3, drained=drained) == ["P3", "P5", "P1"]
    assert "P2" not in place(1, 1, user=("P2",), drained=drained)
    assert "P2" not in place(1, 1, priority=["P2"], drained=drained)
    assert place(1, 2, current=["P2", "P3"], drained=drained) == ["P2", "P3"]
    assert place(1, 1, current=["P2", "P4"], drained=drained) == ["P4"], "it goes first where one has to"
    with pytest.raises(NotEnoughPeers, match="1 being drained"):
        place(5, 5, drained=drained)
