"""A clock that is off is reported once, and forgotten when it is mended."""

from __future__ import annotations

import pytest

from cluster.common.clock_skew import ClockSkews
from cluster.common.hybrid_clock import TOLERANCE


def test_a_member_is_reported_once_while_its_clock_is_off(caplog: pytest.LogCaptureFixture) -> None:
    skews = ClockSkews()
    for ahead in (-7200.0, -7205.0):
        skews.observe("b", ahead)
    skews.observe("c", TOLERANCE - 1)
    assert skews.all() == {"b": -7205.0}
    assert len(caplog.messages) == 1
    assert "the clock of b is 2.0 hours behind ours" in caplog.text
    skews.observe("b", 0.0)
    assert skews.all() == {}


def test_a_stamp_shows_only_a_clock_that_is_fast() -> None:
    skews = ClockSkews()
    skews.observe_stamp("old batch", -86_400.0)
    skews.observe_stamp("fast", 86_400.0)
    skews.observe_stamp("fast", 0.0)
    assert skews.all() == {"fast": 86_400.0}, "a batch that is on time may just have been late"
