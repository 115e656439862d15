from __future__ import annotations

import os

import pytest
import trio
import trio.testing
from support.p2p_pipes import MemoryBytes, pipe_pair

from node.datadir.identity import Identity
from node.p2p.errors import DialFailed, NetworkError, ProtocolViolation
from node.p2p.transport.byte_stream import ByteSession, read_exactly
from node.p2p.transport.noise import Noise

A, B = Identity.generate(), Identity.generate()


async def _shaken(
    one: MemoryBytes, other: MemoryBytes, a_fast: bool, b_fast: bool
) -> tuple[ByteSession, ByteSession]:
    sessions: list[ByteSession] = []

    async def listen() -> None:
        sessions.append(await Noise(B, b_fast).secure(other, None))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        dialled = await Noise(A, a_fast).secure(one, B.peer_id)
    return dialled, sessions[0]


@pytest.mark.parametrize("most", [64, 1 << 20])
@pytest.mark.parametrize("a_fast", [True, False])
@pytest.mark.parametrize("b_fast", [True, False])
def test_both_sessions_understand_each_other(a_fast: bool, b_fast: bool, most: int) -> None:
    sent = os.urandom(5000 if most == 64 else 200_000)

    async def run() -> None:
        a, b = await _shaken(*pipe_pair(most), a_fast, b_fast)
        assert (str(a.get_remote_peer()), str(b.get_remote_peer())) == (B.peer_id, A.peer_id)
        assert (a.is_initiator, b.is_initiator) == (True, False)
        for here, there in ((a, b), (b, a)):
            await here.write(sent)
            assert await read_exactly(there, 10) == sent[:10]
            assert await read_exactly(there, len(sent) - 10) == sent[10:]

    trio.run(run)


def test_another_peer_than_the_one_dialled_is_refused() -> None:
    async def run() -> None:
        one, other = pipe_pair()
        async with trio.open_nursery() as nursery:

            async def listen() -> None:
                with pytest.raises(NetworkError):
                    await Noise(B).secure(other, None)

            nursery.start_soon(listen)
            with pytest.raises((DialFailed, ProtocolViolation)):
                await Noise(A).secure(one, Identity.generate().peer_id)
            await one.close()

    trio.run(run)


def test_a_changed_message_is_noticed() -> None:
    async def run() -> None:
        one, other = trio.testing.memory_stream_pair()
        a, b = await _shaken(MemoryBytes(one), MemoryBytes(other), True, True)
        await a.write(b"hello")
        encrypted = bytearray(await other.receive_some(1000))
        encrypted[-1] ^= 1
        await one.send_all(bytes(encrypted))
        with pytest.raises(ProtocolViolation, match="changed on its way"):
            await b.read()

    trio.run(run)


@pytest.mark.parametrize("junk", [b"", b"\0\0", b"\xff" * 70_000, b"\0\x20" + b"\1" * 32, os.urandom(200)])
def test_junk_instead_of_a_handshake_is_one_kind_of_error(junk: bytes) -> None:
    async def run() -> None:
        one, other = pipe_pair()
        await one.write(junk)
        await one.close()
        with pytest.raises(NetworkError):
            await Noise(B).secure(other, None)

    trio.run(run)
