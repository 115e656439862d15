from __future__ import annotations

import os
import struct
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from support.p2p_pipes import MemoryBytes, Recorder, pipe_pair

from node.p2p.errors import ConnectionLost, StreamLost
from node.p2p.transport.yamux.frames import INITIAL_WINDOW
from node.p2p.transport.yamux.receive_window import CONNECTION_WINDOW, WINDOW
from node.p2p.transport.yamux.session import MAX_STREAMS, Yamux
from node.p2p.transport.yamux.stream import YamuxStream

HEADER = struct.Struct("!BBHII")
DATA, UPDATE, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8


def frame(kind: int, flags: int, number: int, value: int, data: bytes = b"") -> bytes:
    return HEADER.pack(0, kind, flags, number, value) + data


def data(number: int, payload: bytes, flags: int = 0) -> bytes:
    return frame(DATA, flags, number, len(payload), payload)


def frames(written: bytes) -> list[tuple[int, int, int, int]]:
    """(kind, flags, number, value) of each frame; data is skipped."""
    found, position = [], 0
    while position < len(written):
        _, kind, flags, number, value = HEADER.unpack_from(written, position)
        found.append((kind, flags, number, value))
        position += 12 + (value if kind == DATA else 0)
    return found


def with_pair(
    act: Callable[[Yamux, trio.MemoryReceiveChannel[YamuxStream]], Awaitable[None]], most: int
) -> None:
    """Run act(dialler, streams that its listener accepts)."""

    async def run() -> None:
        with trio.fail_after(60):
            one, other = pipe_pair(most)
            opened, accepted = trio.open_memory_channel[YamuxStream](1000)
            dialler = Yamux(one, True, lambda _stream: None)
            listener = Yamux(other, False, opened.send_nowait)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(dialler.run)
                nursery.start_soon(listener.run)
                await act(dialler, accepted)
                nursery.cancel_scope.cancel()

    trio.run(run)


def listener_given(incoming: bytes) -> tuple[Recorder, Yamux, list[YamuxStream]]:
    """A listener after it has read those bytes, with what it wrote and which streams it accepted."""
    pipe, streams = Recorder(incoming), list[YamuxStream]()
    muxer = Yamux(pipe, False, streams.append)
    trio.run(muxer.run)
    return pipe, muxer, streams


@pytest.mark.parametrize("most", [1, 7, 13, 1 << 20])
def test_bytes_arrive_whole_however_they_are_cut(most: int) -> None:
    sent = os.urandom(3000)

    async def act(dialler: Yamux, accepted: trio.MemoryReceiveChannel[YamuxStream]) -> None:
        stream = await dialler.open_stream()
        await stream.write(sent)
        await stream.close()
        far = await accepted.receive()
        assert await far.read_exactly(2999) == sent[:2999]
        assert await far.read() == sent[2999:]
        assert await far.read() == b""
        await far.write(b"answer")
        assert await stream.read_exactly(6) == b"answer"

    with_pair(act, most)


def test_a_message_larger_than_the_window_gets_through() -> None:
    sent = os.urandom(3 * WINDOW + 17)

    async def act(dialler: Yamux, accepted: trio.MemoryReceiveChannel[YamuxStream]) -> None:
        stream = await dialler.open_stream()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.write, sent)
            far = await accepted.receive()
            assert await far.read_exactly(100) == sent[:100]
            assert await far.read_exactly(len(sent) - 100) == sent[100:]

    with_pair(act, 1 << 20)


def granted_after_a_read(streams: int, size: int) -> list[int]:
    """What is granted anew to each of so many streams when so many bytes of each were read."""

    async def run() -> list[int]:
        one, other = trio.testing.memory_stream_pair()
        opened, accepted = trio.open_memory_channel[YamuxStream](streams)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Yamux(MemoryBytes(one), False, opened.send_nowait).run)
            for number in range(1, 2 * streams, 2):
                await other.send_all(data(number, bytes(size), SYN))
                await (await accepted.receive()).read_exactly(size)
            await other.send_all(frame(PING, SYN, 0, 7))
            written = b""
            while (PING, ACK, 0, 7) not in frames(written):
                written += bytes(await other.receive_some())
            nursery.cancel_scope.cancel()
        return [value for kind, _, _, value in frames(written) if kind == UPDATE and value]

    return trio.run(run)


def test_a_stream_that_is_read_may_have_megabytes_under_way() -> None:
    """On a line of 400 ms there and back, 8 MiB of them are 20 MB/s; a window of 1 MiB would be 2.5."""
    (granted,) = granted_after_a_read(streams=1, size=100)
    assert granted > 7 * 1024 * 1024


def test_all_streams_of_a_peer_are_promised_a_bounded_number_of_bytes() -> None:
    granted = granted_after_a_read(streams=MAX_STREAMS, size=INITIAL_WINDOW)
    assert len(granted) == MAX_STREAMS  # nobody is left without
    assert CONNECTION_WINDOW // 2 <= sum(granted) <= CONNECTION_WINDOW + MAX_STREAMS * INITIAL_WINDOW


def test_what_was_promised_to_streams_that_have_ended_is_free_again() -> None:
    async def act(dialler: Yamux, accepted: trio.MemoryReceiveChannel[YamuxStream]) -> None:
        stream = await dialler.open_stream()
        far = await accepted.receive()
        await stream.write(b"all of it")
        await far.read()
        await far.write(b"heard")
        await stream.read()
        for end in (stream, far):
            await end.close()
        lost = await dialler.open_stream()
        await (await accepted.receive()).reset()
        with pytest.raises(StreamLost):
            await lost.read()
        assert dialler.promised == 0

    with_pair(act, 1 << 20)


def test_a_writer_waits_while_nobody_reads_and_other_streams_go_on() -> None:
    async def act(dialler: Yamux, accepted: trio.MemoryReceiveChannel[YamuxStream]) -> None:
        stuck, free = await dialler.open_stream(), await dialler.open_stream()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stuck.write, bytes(2 * INITIAL_WINDOW))
            far_stuck = await accepted.receive()
            await trio.testing.wait_all_tasks_blocked()
            await free.write(b"hello")
            far_free = await accepted.receive()
            assert await far_free.read_exactly(5) == b"hello"
            assert await far_stuck.read_exactly(2 * INITIAL_WINDOW) == bytes(2 * INITIAL_WINDOW)

    with_pair(act, 1 << 20)


def test_a_reset_ends_both_directions() -> None:
    async def act(dialler: Yamux, accepted: trio.MemoryReceiveChannel[YamuxStream]) -> None:
        stream = await dialler.open_stream()
        far = await accepted.receive()
        await far.reset()
        with pytest.raises(StreamLost, match="the peer reset"):
            await stream.read()
        with pytest.raises(StreamLost, match="the peer reset"):
            await stream.write(b"x")
        with pytest.raises(StreamLost, match="this side reset"):
            await far.read()

    with_pair(act, 1 << 20)


def test_a_stream_that_ends_inside_a_message_is_an_error() -> None:
    async def act(dialler: Yamux, accepted: trio.MemoryReceiveChannel[YamuxStream]) -> None:
        stream = await dialler.open_stream()
        await stream.write(b"half")
        await stream.close()
        with pytest.raises(StreamLost, match="in the middle"):
            await (await accepted.receive()).read_exactly(8)
        with pytest.raises(StreamLost, match="closed"):
            await stream.write(b"more")

    with_pair(act, 1 << 20)


def test_streams_are_counted() -> None:
    async def act(dialler: Yamux, accepted: trio.MemoryReceiveChannel[YamuxStream]) -> None:
        streams = [await dialler.open_stream() for _ in range(MAX_STREAMS)]
        with pytest.raises(StreamLost, match="256 streams"):
            await dialler.open_stream()
        await streams[0].reset()
        await dialler.open_stream()

    with_pair(act, 1 << 20)


def test_what_a_peer_opens_beyond_the_limit_is_reset_and_the_rest_lives() -> None:
    extra = [2 * n + 1 for n in range(MAX_STREAMS, MAX_STREAMS + 5)]

    async def run() -> list[int]:
        one, other = trio.testing.memory_stream_pair()
        refused: list[int] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Yamux(MemoryBytes(one), False, lambda _stream: None).run)
            for number in [*range(1, 2 * MAX_STREAMS, 2), *extra]:
                await other.send_all(frame(UPDATE, SYN, number, 0))
            await other.send_all(frame(PING, SYN, 0, 7))
            while True:
                answers = frames(bytes(await other.receive_some(12)))
                refused += [number for _, flags, number, _ in answers if flags == RST]
                if answers[0][0] == PING:  # it still answers, after all of them
                    nursery.cancel_scope.cancel()
                    return refused

    assert trio.run(run) == extra


@pytest.mark.parametrize(
    ("incoming", "reason"),
    [
        (frame(UPDATE, SYN, 1, 0) + frame(DATA, 0, 1, INITIAL_WINDOW + 1), "granted"),
        (frame(UPDATE, SYN, 1, 0) + frame(UPDATE, SYN, 1, 0), "may not open"),
        (frame(UPDATE, SYN, 2, 0), "may not open"),
        (frame(UPDATE, SYN, 0, 0), "may not open"),
        (frame(UPDATE, SYN, 1, 2**32 - 1) + frame(UPDATE, 0, 1, 2**32 - 1), "4 GiB"),
        (frame(7, 0, 0, 0), "not a yamux frame"),
        (b"\x01" + bytes(11), "not a yamux frame"),
        (frame(PING, SYN, 0, 1) * 5000, "wait for the peer"),
        (b"", "closed the connection"),
    ],
)
def test_a_peer_that_breaks_the_rules_loses_the_connection(incoming: bytes, reason: str) -> None:
    _, muxer, _ = listener_given(incoming)
    assert reason in muxer.lost

    async def open_stream() -> None:
        with pytest.raises(ConnectionLost):
            await muxer.open_stream()

    trio.run(open_stream)


def test_pings_are_answered_with_their_value() -> None:
    async def run() -> bytes:
        one, other = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Yamux(MemoryBytes(one), False, lambda _stream: None).run)
            await other.send_all(frame(PING, SYN, 0, 12345))
            answer = bytes(await other.receive_some(100))
            nursery.cancel_scope.cancel()
        return answer

    assert frames(trio.run(run)) == [(PING, ACK, 0, 12345)]


def test_a_fin_on_a_data_frame_ends_the_stream_after_its_data() -> None:
    async def run() -> None:
        one, other = trio.testing.memory_stream_pair()
        opened, accepted = trio.open_memory_channel[YamuxStream](1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Yamux(MemoryBytes(one, 5), False, opened.send_nowait).run)
            await other.send_all(data(1, b"all of it", SYN | FIN))
            stream = await accepted.receive()
            assert await stream.read_exactly(9) == b"all of it"
            assert await stream.read() == b""
            nursery.cancel_scope.cancel()

    trio.run(run)


def test_data_of_a_stream_we_have_reset_is_dropped() -> None:
    async def run() -> None:
        one, other = trio.testing.memory_stream_pair()
        opened, accepted = trio.open_memory_channel[YamuxStream](2)
        async with trio.open_nursery() as nursery:
            muxer = Yamux(MemoryBytes(one), False, opened.send_nowait)
            nursery.start_soon(muxer.run)
            await other.send_all(frame(UPDATE, SYN, 1, 0))
            await (await accepted.receive()).reset()
            await other.send_all(data(1, b"too late") + data(3, b"new", SYN))
            assert await (await accepted.receive()).read_exactly(3) == b"new"
            assert muxer.unread == 0
            nursery.cancel_scope.cancel()

    trio.run(run)


@settings(max_examples=60)
@given(st.binary(max_size=300))
def test_any_bytes_are_frames_or_end_the_connection(incoming: bytes) -> None:
    _, muxer, streams = listener_given(frame(UPDATE, SYN, 1, 0) + incoming)
    assert muxer.lost
    assert all(stream.lost for stream in streams)
    assert muxer.unread == 0
