from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitswap.network import PeerUnreachable
from blockstore.common.guard import Guard
from cluster.ports import PeerOffline
from node.p2p.messaging.calls import Calls


class _Line:
    """Calls whose frames go nowhere but here."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.calls = Calls(self._send, self._spawn, Guard(), lambda _peer, _method: True)

    async def _send(self, peer: str, frame: bytes) -> None:
        if peer == "gone":
            raise PeerUnreachable("gone is not connected")
        self.sent.append(frame)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


async def test_a_peer_that_cannot_be_reached_is_offline() -> None:
    with pytest.raises(PeerOffline, match="not connected"):
        await _Line().calls.call("gone", "echo", b"", 1)


async def test_more_calls_than_are_served_at_once_are_answered_busy() -> None:
    line, go_on = _Line(), asyncio.Event()

    async def slow(_peer: str, _request: bytes) -> bytes:
        await go_on.wait()
        return b""

    line.calls.serve("slow", slow)
    for number in range(1, 131):
        await line.calls.on_message("peer", "", b"\0" + bytes([1]) + b"\x04slow" + bytes([number]))
    for _ in range(5):
        await asyncio.sleep(0)
    assert [frame[0] for frame in line.sent] == [2, 2]
    assert b"busy" in line.sent[0]
    go_on.set()
    await asyncio.gather(*line.tasks)
    assert len(line.sent) == 130


async def test_an_answer_to_nothing_asked_is_dropped() -> None:
    line = _Line()
    await line.calls.on_message("peer", "", b"\x01\x07answer")
    call = asyncio.create_task(line.calls.call("peer", "m", b"", 5))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    number = line.sent[0][1:2]
    await line.calls.on_message("another peer", "", b"\x01" + number + b"forged")
    await line.calls.on_message("peer", "", b"\x01" + number + b"true")
    assert await call == b"true"


@given(st.lists(st.binary(max_size=40), max_size=10))
@settings(max_examples=50)
def test_any_bytes_are_a_frame_or_nothing(frames: list[bytes]) -> None:
    async def run() -> None:
        line = _Line()
        for frame in frames:
            await line.calls.on_message("peer", "", frame)
        await asyncio.gather(*line.tasks)
        assert line.calls.serving == 0

    asyncio.run(run())
