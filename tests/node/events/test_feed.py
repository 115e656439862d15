"""The buffer of events: every listener reads each one once, in order, or is told that some are gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.events.event import MAX_TEXT, BadEventId, EventId, EventKind
from node.events.feed import EventFeed, Gone


def feed(kept: int = 10) -> EventFeed:
    return EventFeed(lambda: 1000.0, kept)


def publish(to: EventFeed, *subjects: str) -> None:
    to.publish(EventKind.PIN, [(subject, {"cid": subject}) for subject in subjects])


@given(st.integers(1, 6), st.lists(st.integers(0, 9), max_size=12), st.integers(1, 4))
def test_a_listener_misses_nothing_without_being_told(kept: int, groups: Sequence[int], limit: int) -> None:
    """Invariant: what is read are the numbers behind the place, without a gap."""
    one, place = feed(kept), 0
    for size in groups:
        publish(one, *("x" * (number + 1) for number in range(size)))
        try:
            found = one.read(place, limit)
        except Gone as gone:
            lost, place = gone.oldest - place - 1, gone.oldest - 1
            assert lost > 0
            found = one.read(place, limit)
        assert [event.number for event in found] == [place + 1 + step for step in range(len(found))]
        assert len(found) == min(limit, one.last - place)
        place += len(found)


def test_an_event_is_json_on_one_line_with_its_kind_and_time() -> None:
    one = feed()
    one.publish(EventKind.STATUS, [("c", {"cid": "c", "error": "two\nlines", "more": "x" * 10_000})])
    (event,) = one.read(0)
    text = one.text_of(event)
    assert "\n" not in text
    facts = json.loads(text)
    assert (facts["type"], facts["at"], facts["error"]) == ("status", 1000.0, "two\nlines")
    assert len(facts["more"]) == MAX_TEXT


async def test_who_waits_is_woken_by_the_next_event_and_by_the_end() -> None:
    one = feed()
    waiting = [asyncio.create_task(one.wait(place)) for place in (0, 0, 1)]
    await asyncio.sleep(0)
    publish(one, "a")
    await asyncio.gather(*waiting[:2])
    assert not waiting[2].done()
    one.close()
    await waiting[2]


def test_ids_name_the_run_of_the_program() -> None:
    first, second = EventFeed(lambda: 1000.0), EventFeed(lambda: 1000.5)
    assert EventId.parse(str(first.id_of(7))) == first.id_of(7) != second.id_of(7)


@pytest.mark.parametrize("text", ["", "7", "1-", "-1", "1-2-3", "1-x", "١-٢", "9" * 30 + "-1", " 1-1"])
def test_what_no_node_gave_is_no_id(text: str) -> None:
    with pytest.raises(BadEventId):
        EventId.parse(text)
