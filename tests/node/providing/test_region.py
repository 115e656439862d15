"""Regions of the key space: nothing between them, and a prefix splits into what is known and what is left."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from support.dht_network import SimDht

from node.providing.region import COPIES, SPACE, Prefix, Region, by_key, covered
from node.routing.kad.keys import kad_key

keys = st.integers(0, SPACE - 1)


@given(keys, st.integers(0, 60), st.integers(0, 60))
def test_what_is_left_of_a_prefix_and_what_is_taken_are_the_prefix(key: int, bits: int, more: int) -> None:
    outer, inner = Prefix.of(key, bits), Prefix.of(key, bits + more)
    parts = sorted([(one.low, one.high) for one in [inner, *outer.without(inner)]])
    assert (parts[0][0], parts[-1][1]) == (outer.low, outer.high)
    assert all(before[1] == after[0] for before, after in pairwise(parts))
    assert inner.without(outer) == []


@given(keys, st.integers(1, 10))
def test_a_name_is_found_for_every_prefix(key: int, bits: int) -> None:
    prefix = Prefix.of(key, bits)
    assert prefix.low <= kad_key(prefix.some_name()) < prefix.high
    assert prefix.sibling.parent == prefix.parent


def test_a_look_up_covers_a_prefix_whole() -> None:
    dht = SimDht(1000)
    for key in [dht.random.randrange(SPACE) for _ in range(20)]:
        nearest = [one.peer for one in dht.nearest(key)]
        prefix = covered(key, nearest)
        inside = {one.key for one in dht.servers.values() if prefix.low <= one.key < prefix.high}
        assert inside <= by_key(nearest).keys()
        assert len(inside) <= COPIES


def test_each_name_has_as_many_keepers_as_there_are_servers() -> None:
    dht = SimDht(7)
    region = Region(0, SPACE, by_key([one.peer for one in dht.nearest(5, 7)]))
    shares = region.shares([5, 9])
    assert sorted(one for names in shares.values() for one in names) == [5] * 7 + [9] * 7
