"""The state of a walk as bytes, and what is no such state."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.dags import leaf, node

from blockstore.cid import CID, RAW
from blockstore.ipld.visited import Visited
from blockstore.ipld.walk_frontier import MAX_DEPTH, WalkStep
from blockstore.ipld.walk_state import BadWalkState, WalkState

NUMBERS = st.lists(st.integers(0, 2**40), max_size=8)
STEPS = st.lists(st.tuples(st.integers(0, 99), st.integers(0, MAX_DEPTH)), max_size=8)


def state(raw: Sequence[int], nodes: Sequence[int], steps: Sequence[tuple[int, int]]) -> WalkState:
    visited = Visited()
    for number in raw:
        visited.add(leaf(1).cid, number)
    for number in nodes:
        visited.add(node([]).cid, number)
    visited.add(CID.identity(RAW, b"text"), None)
    return WalkState.of(visited, [WalkStep(leaf(number).cid, depth) for number, depth in steps], 7, 2**50)


@given(NUMBERS, NUMBERS, STEPS)
def test_a_state_comes_back_as_it_was(
    raw: Sequence[int], nodes: Sequence[int], steps: Sequence[tuple[int, int]]
) -> None:
    given_, found = state(raw, nodes, steps), WalkState.decode(state(raw, nodes, steps).encode())
    assert found.encode() == given_.encode()
    visited = found.visited()
    assert all(visited.has(leaf(1).cid, number) for number in raw)
    assert all(visited.has(node([]).cid, number) == (number in nodes) for number in (*raw, *nodes))
    assert visited.has(CID.identity(RAW, b"text"), None)


@given(st.binary(max_size=64) | st.binary(max_size=64).map(zlib.compress))
def test_any_other_bytes_are_no_state(data: bytes) -> None:
    """Invariant: a state or BadWalkState, and nothing else."""
    try:
        WalkState.decode(data).visited()
    except BadWalkState:
        return


def test_a_state_that_was_cut_is_none() -> None:
    whole = state([1, 5], [2], [(1, 1)]).encode()
    for end in range(len(whole)):
        with pytest.raises(BadWalkState):
            WalkState.decode(whole[:end])
