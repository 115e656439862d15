"""Server-sent events as the command line reads them, whatever pieces they come in."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.cli.api.errors import ApiError
from node.cli.api.event_stream import parse_events

STREAM = (
    b':\n\nid: 1-0\nevent: hello\ndata: {"type":"hello"}\n\n:\n\n'
    b'id: 1-1\nevent: pin\ndata: {"type":"pin","name":"a: b"}\n\n'
)


@given(st.lists(st.integers(1, 20), max_size=20))
def test_events_are_the_same_however_they_are_cut(sizes: Sequence[int]) -> None:
    parts, rest = list[bytes](), STREAM
    for size in sizes:
        parts, rest = [*parts, rest[:size]], rest[size:]
    found = list(parse_events([*parts, rest]))
    assert [(one.id, one.kind, one.facts.text("name")) for one in found] == [
        ("1-0", "hello", ""),
        ("1-1", "pin", "a: b"),
    ]


def test_what_is_no_event_of_a_node_is_an_error() -> None:
    with pytest.raises(ApiError, match="no pinfold node"):
        list(parse_events([b"data: nonsense\n\n"]))
