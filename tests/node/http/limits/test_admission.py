"""Who is let in: counts and rates, in all and of each client."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.http.limits.admission import RequestAdmission, RequestLimits, TooManyRequests


class Clock:
    time = 1000.0

    def __call__(self) -> float:
        return self.time


def test_a_full_gateway_tells_to_come_back_in_a_minute() -> None:
    gate = RequestAdmission(RequestLimits(requests=2))
    one, _ = gate.enter(), gate.enter()
    with pytest.raises(TooManyRequests) as refused:
        gate.enter()
    assert refused.value.retry_after == 60
    gate.leave(one)
    gate.enter()
    assert gate.inside == 2


def test_a_client_has_so_many_at_once_whatever_others_do() -> None:
    gate = RequestAdmission(RequestLimits(client_requests=1))
    mine = gate.enter(b"me")
    gate.enter(b"other")
    with pytest.raises(TooManyRequests, match="1 at once"):
        gate.enter(b"me")
    assert gate.inside == 2
    gate.leave(mine)
    gate.enter(b"me")


def test_a_client_is_told_when_its_rate_has_room_again() -> None:
    clock = Clock()
    gate = RequestAdmission(RequestLimits(client_rate=0.1, client_burst=2), clock)
    for _ in range(2):
        gate.leave(gate.enter(b"me"))
    with pytest.raises(TooManyRequests) as refused:
        gate.enter(b"me")
    assert refused.value.retry_after == 10
    assert gate.inside == 0
    gate.enter(b"other")
    clock.time += refused.value.retry_after
    gate.enter(b"me")


def test_a_client_with_too_much_still_to_come_is_to_wait() -> None:
    clock = Clock()
    gate = RequestAdmission(RequestLimits(client_bytes=100), clock)
    client = gate.enter(b"me")
    assert client.pace is not None
    client.pace.owe(3100, clock.time)  # the first 100 come at once
    gate.enter(b"me")
    client.pace.owe(100, clock.time)
    with pytest.raises(TooManyRequests, match="100 bytes a second") as refused:
        gate.enter(b"me")
    assert refused.value.retry_after == 1
    clock.time += 1
    gate.enter(b"me")


def test_without_limits_everybody_is_let_in_and_nobody_remembered() -> None:
    gate = RequestAdmission(RequestLimits())
    assert not gate.per_client
    assert gate.enter(b"a") is gate.enter(b"b")


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=200))
def test_whatever_comes_and_goes_the_counts_are_right(events: list[tuple[int, bool]]) -> None:
    gate = RequestAdmission(RequestLimits(requests=5, client_requests=2))
    inside = []
    for who, comes in events:
        if comes:
            try:
                inside.append((who, gate.enter(bytes([who]))))
            except TooManyRequests:
                assert len(inside) == 5 or [one for one, _ in inside].count(who) == 2
        elif inside:
            gate.leave(inside.pop(0)[1])
        assert gate.inside == len(inside) <= 5


def test_only_so_many_clients_are_remembered() -> None:
    gate = RequestAdmission(RequestLimits(client_rate=0.001, client_burst=1), Clock(), remembered=2)
    for who in (b"a", b"b", b"c"):
        gate.leave(gate.enter(who))
    gate.leave(gate.enter(b"a"))  # forgotten: it begins anew
    for who in (b"c", b"a"):
        with pytest.raises(TooManyRequests):
            gate.enter(who)
