"""Who is let in, who goes, and that nothing is forgotten or counted twice, whatever happens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.http.limits.door import Door, NoRoom


def test_the_guest_goes_that_has_waited_longest() -> None:
    door = Door[str](3)
    assert [door.enter(guest, b"") for guest in "abc"] == [None] * 3
    door.begin("a")
    door.rest("a")
    assert [door.enter(guest, b"") for guest in "de"] == ["b", "c"]
    assert len(door) == 3


def test_who_is_being_answered_stays() -> None:
    door = Door[str](2)
    for guest in "ab":
        door.enter(guest, b"")
        door.begin(guest)
    with pytest.raises(NoRoom, match="too many connections"):
        door.enter("c", b"")
    door.rest("b")
    assert door.enter("c", b"") == "b"


def test_an_address_has_a_share_of_its_own() -> None:
    door = Door[str | int](10, 2)
    assert [door.enter(guest, b"x") for guest in "abcd"] == [None, None, "a", "b"]
    assert [door.enter(guest, b"y") for guest in "ef"] == [None, None]
    door.begin("c")
    door.begin("d")
    with pytest.raises(NoRoom, match="an address has 2"):
        door.enter("g", b"x")
    assert [door.enter(number, b"") for number in range(6)] == [None] * 6
    assert door.enter("late", b"") == "e"


def test_leaving_twice_or_as_a_stranger_counts_nobody_out() -> None:
    door = Door[str](2)
    door.enter("a", b"x")
    for guest in ("a", "a", "stranger"):
        door.leave(guest)
        door.begin(guest)
        door.rest(guest)
    assert len(door) == 0
    assert [door.enter(guest, b"x") for guest in "bcd"] == [None, None, "b"]


@given(st.lists(st.tuples(st.sampled_from(["enter", "leave", "begin", "rest"]), st.integers(0, 9))))
def test_the_bounds_hold_whatever_happens(steps: list[tuple[str, int]]) -> None:
    door = Door[int](5, 2)
    inside: dict[int, bytes] = {}
    for step, number in steps:
        key = bytes([number % 3])
        if step == "enter" and number not in inside:
            try:
                leaves = door.enter(number, key)
                if leaves is not None:
                    inside.pop(leaves, None)
                inside[number] = key
            except NoRoom:
                pass
        elif step == "leave":
            door.leave(number)
            inside.pop(number, None)
        elif step in ("begin", "rest"):
            getattr(door, step)(number)
        assert len(door) == len(inside) <= 5
        assert all(list(inside.values()).count(key) <= 2 for key in inside.values())
