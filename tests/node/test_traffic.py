"""Totals stay, rates follow what came lately."""

import pytest

from node.traffic import Traffic


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_steady_stream_has_its_rate_and_a_silence_has_none() -> None:
    clock = Clock()
    traffic = Traffic(clock)
    for _ in range(1000):
        traffic.received("/x/1", 50)
        clock.now += 0.1
    (one,) = traffic.totals().values()
    assert (one.total_in, one.total_out, one.rate_out) == (50_000, 0, 0.0)
    assert one.rate_in == pytest.approx(500, rel=0.05)
    clock.now += 300
    (later,) = traffic.totals().values()
    assert later.total_in == 50_000
    assert later.rate_in < 1e-6


def test_protocols_are_apart_and_in_order() -> None:
    traffic = Traffic(Clock())
    traffic.sent("/b", 2)
    traffic.received("/a", 1)
    found = traffic.totals()
    assert list(found) == ["/a", "/b"]
    assert [(one.total_in, one.total_out) for one in found.values()] == [(1, 0), (0, 2)]
