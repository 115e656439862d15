from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from support.p2p_pipes import Recorder

from blockstore.common import varint
from node.p2p.errors import ConnectionLost, NetworkError, ProtocolViolation, StreamLost
from node.p2p.messaging.message_reader import Allowance, read_messages
from node.p2p.messaging.outbox import Outbox, Outgoing
from node.p2p.transport.byte_stream import read_exactly
from node.p2p.transport.connection import Stream


class _Pipe(Recorder):
    """A stream that fails to write when told so."""

    def __init__(self, incoming: bytes = b"", broken: bool = False) -> None:
        super().__init__(incoming)
        self.broken = broken

    unread = 0

    async def wait_for(self, n: int) -> None:
        await trio.lowlevel.checkpoint()

    async def read_exactly(self, n: int) -> bytes:
        return await read_exactly(self, n)

    async def write(self, data: bytes) -> None:
        if self.broken:
            raise StreamLost("broken")
        await super().write(data)

    async def reset(self) -> None:
        self.broken = True


def _stream(pipe: _Pipe, protocol: str = "/p/1") -> Stream:
    return Stream("peer", protocol, pipe, connection=None)  # type: ignore[arg-type]  # not looked at here


def _read(data: bytes, longest: int = 1000) -> list[bytes]:
    """The messages in those bytes; what went wrong is raised after them."""
    got: list[bytes] = []

    async def run() -> None:
        await read_messages(_stream(_Pipe(data)), longest, Allowance(), got.append)

    trio.run(run)
    return got


@given(st.lists(st.binary(max_size=400), max_size=8))
@settings(max_examples=40)
def test_what_is_framed_is_read_back(messages: list[bytes]) -> None:
    assert _read(b"".join(varint.encode(len(one)) + one for one in messages)) == messages


@given(st.binary(max_size=60))
@settings(max_examples=60)
def test_any_bytes_are_messages_or_the_one_error(data: bytes) -> None:
    try:
        assert sum(map(len, _read(data))) <= len(data)
    except NetworkError:
        return


def test_a_message_above_the_limit_is_refused_by_its_length_alone() -> None:
    assert _read(varint.encode(1000) + bytes(1000)) == [bytes(1000)]
    for length in (1001, 1024, 4 * 2**20, 2**62):
        with pytest.raises(ProtocolViolation, match="limit"):
            _read(varint.encode(length))


def test_an_allowance_is_waited_for_and_a_larger_message_goes_alone() -> None:
    async def run() -> None:
        allowance, taken = Allowance(100), list[int]()

        async def take(size: int) -> None:
            await allowance.take(size)
            taken.append(size)

        async with trio.open_nursery() as nursery:
            await take(60)
            nursery.start_soon(take, 150)
            await trio.testing.wait_all_tasks_blocked()
            assert taken == [60]
            allowance.give(60)
            await trio.testing.wait_all_tasks_blocked()
            assert taken == [60, 150]

    trio.run(run)


def test_messages_of_many_streams_that_wait_for_one_allowance_all_get_it() -> None:
    async def run() -> None:
        allowance, taken = Allowance(100), list[int]()

        async def take_and_give(number: int) -> None:
            await allowance.take(60)
            taken.append(number)
            await trio.lowlevel.checkpoint()
            allowance.give(60)

        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                await allowance.take(60)
                for number in range(20):
                    nursery.start_soon(take_and_give, number)
                await trio.testing.wait_all_tasks_blocked()
                allowance.give(60)
        assert sorted(taken) == list(range(20))

    trio.run(run)


class _Sending:
    """An outbox over streams that may be broken, and what became of each message."""

    def __init__(self, *pipes: _Pipe) -> None:
        self.pipes = list(pipes)
        self.opened = 0
        self.results: list[str | NetworkError] = []
        self.outbox = Outbox(self._open, lambda: None)

    async def _open(self, peer: str, protocols: Sequence[str]) -> Stream:
        if self.opened == len(self.pipes):
            raise StreamLost("no more streams")
        self.opened += 1
        return _stream(self.pipes[self.opened - 1])

    def post(self, message: bytes) -> Outgoing:
        outgoing = Outgoing("peer", ("/p/1",), message, self.results.append)
        self.outbox.put(outgoing)
        return outgoing

    async def settle(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.outbox.run)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()


def test_small_messages_share_a_write_and_keep_their_order() -> None:
    async def run() -> None:
        sending = _Sending(_Pipe())
        for number in range(50):
            sending.post(bytes([number]))
        await sending.settle()
        assert sending.results == ["/p/1"] * 50
        assert bytes(sending.pipes[0].written) == b"".join(b"\x01" + bytes([n]) for n in range(50))

    trio.run(run)


def test_a_kept_stream_that_broke_is_opened_again_once() -> None:
    async def run() -> None:
        sending = _Sending(_Pipe(), _Pipe())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sending.outbox.run)
            sending.post(b"first")
            await trio.testing.wait_all_tasks_blocked()
            sending.pipes[0].broken = True
            sending.post(b"second")
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert sending.results == ["/p/1", "/p/1"]
        assert bytes(sending.pipes[1].written) == b"\x06second"

    trio.run(run)


def test_a_new_stream_that_breaks_fails_the_message_and_the_next_one_tries_anew() -> None:
    async def run() -> None:
        sending = _Sending(_Pipe(broken=True), _Pipe())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sending.outbox.run)
            sending.post(b"lost")
            await trio.testing.wait_all_tasks_blocked()
            sending.post(b"sent")
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert isinstance(sending.results[0], StreamLost)
        assert sending.results[1:] == ["/p/1"]

    trio.run(run)


def test_a_withdrawn_message_is_not_sent() -> None:
    async def run() -> None:
        sending = _Sending(_Pipe())
        sending.post(b"a").withdrawn = True
        sending.post(b"b")
        await sending.settle()
        assert bytes(sending.pipes[0].written) == b"\x01b"

    trio.run(run)


def test_what_still_waits_when_the_network_closes_has_failed() -> None:
    async def run() -> None:
        sending = _Sending(_Pipe())
        with trio.CancelScope() as scope:
            scope.cancel()
            sending.post(b"x")
            await sending.outbox.run()
        assert [type(result) for result in sending.results] == [NetworkError]

    trio.run(run)


class _Slow(_Pipe):
    """A stream that brings so many bytes each second, and none when they are used up."""

    def __init__(self, incoming: bytes, rate: int) -> None:
        super().__init__(incoming)
        self.rate = rate
        self.here = 0

    async def wait_for(self, n: int) -> None:
        while self.here < n:
            await trio.sleep(1 if self.here < len(self._incoming) else math.inf)
            self.here = min(self.here + self.rate, len(self._incoming))

    async def read(self, n: int | None = None) -> bytes:
        await self.wait_for(1)
        data = await super().read(min(n or self.here, self.here))
        self.here -= len(data)
        return data


def _time_of(data: bytes, rate: int) -> float:
    """Seconds until the reader has had enough of such a stream. Raises what it raises."""
    times: list[float] = []

    async def run() -> None:
        try:
            await read_messages(_stream(_Slow(data, rate)), 2**22, Allowance(), lambda message: None)
        finally:
            times.append(trio.current_time())

    with pytest.raises((ConnectionLost, StreamLost)):
        trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))
    return times[0]


@pytest.mark.parametrize("size", [100, 250_000, 300_000, 2**22])
def test_a_message_with_a_byte_missing_is_given_up_after_a_time(size: int) -> None:
    assert _time_of(varint.encode(size) + bytes(size - 1), rate=2**24) < 145


@pytest.mark.parametrize(("size", "rate"), [(100, 1), (2**18, 1000), (2**22, 10_000)])
def test_a_message_that_trickles_is_given_up_after_a_time(size: int, rate: int) -> None:
    assert _time_of(varint.encode(size) + bytes(size), rate) < 145


def test_a_length_that_does_not_end_is_given_up_after_a_time() -> None:
    assert _time_of(b"\xff", rate=1) < 15


def test_a_slow_message_and_a_silence_before_one_are_no_trouble() -> None:
    got: list[bytes] = []

    async def run() -> None:
        data = varint.encode(2**20) + bytes(2**20)
        with trio.move_on_after(3600):
            await read_messages(_stream(_Slow(data, 40_000)), 2**22, Allowance(), got.append)
        assert trio.current_time() >= 3600

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))
    assert got == [bytes(2**20)]
