"""What every MessageNetwork promises (bitswap/network.py), run against each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from support.contract_networks import STRANGER, Opener, Pair, gated, libp2p, simulated_messages

from bitswap.network import MAX_MESSAGE, MessageNetwork, PeerUnreachable, ProtocolTaken

OLD, NEW = "/test/1.0.0", "/test/2.0.0"
OPENERS: dict[str, Opener[MessageNetwork]] = {
    "libp2p": libp2p,
    "members only": gated,
    "simulated": simulated_messages,
}


@pytest.fixture(params=OPENERS)
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair[MessageNetwork]]:
    async with OPENERS[request.param]() as opened:
        yield opened


class Reader:
    """A handler that keeps what comes, and takes its time when it is told to."""

    def __init__(self) -> None:
        self.read: list[tuple[str, str, bytes]] = []
        self.inside = 0
        self.most_inside = 0
        self.free = asyncio.Event()
        self.free.set()
        self._news = asyncio.Condition()

    async def __call__(self, peer: str, protocol: str, message: bytes) -> None:
        self.read.append((peer, protocol, message))
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        async with self._news:
            self._news.notify_all()
        await self.free.wait()
        self.inside -= 1

    async def has(self, count: int) -> list[tuple[str, str, bytes]]:
        async with asyncio.timeout(60), self._news:
            await self._news.wait_for(lambda: len(self.read) >= count)
        return self.read


async def test_a_message_arrives_with_its_sender_by_the_first_protocol_that_the_peer_speaks(
    pair: Pair[MessageNetwork],
) -> None:
    reader = Reader()
    pair.b.network.on_message([OLD], reader)
    assert pair.a.network.self_id == pair.a.peer
    assert await pair.a.network.send(pair.b.peer, [NEW, OLD], b"hello") == OLD
    assert await reader.has(1) == [(pair.a.peer, OLD, b"hello")]


async def test_one_handler_serves_all_its_protocols(pair: Pair[MessageNetwork]) -> None:
    reader = Reader()
    pair.b.network.on_message([NEW, OLD], reader)
    assert await pair.a.network.send(pair.b.peer, [OLD, NEW], b"") == OLD
    assert await pair.a.network.send(pair.b.peer, [NEW, OLD], b"") == NEW
    assert {protocol for _, protocol, _ in await reader.has(2)} == {OLD, NEW}


async def test_a_protocol_has_one_handler(pair: Pair[MessageNetwork]) -> None:
    first = Reader()
    pair.b.network.on_message([OLD], first)
    with pytest.raises(ProtocolTaken, match=f'"{OLD}" has a handler already'):
        pair.b.network.on_message([NEW, OLD], Reader())
    await pair.a.network.send(pair.b.peer, [OLD], b"still")
    assert await first.has(1)


async def test_messages_to_one_peer_arrive_in_the_order_sent(pair: Pair[MessageNetwork]) -> None:
    reader = Reader()
    pair.b.network.on_message([OLD], reader)
    for number in range(200):
        await pair.a.network.send(pair.b.peer, [OLD], b"%d" % number)
    assert [message for _, _, message in await reader.has(200)] == [b"%d" % number for number in range(200)]


async def test_both_ends_send(pair: Pair[MessageNetwork]) -> None:
    a, b = Reader(), Reader()
    pair.a.network.on_message([OLD], a)
    pair.b.network.on_message([OLD], b)
    await asyncio.gather(
        pair.a.network.send(pair.b.peer, [OLD], b"to b"), pair.b.network.send(pair.a.peer, [OLD], b"to a")
    )
    assert [message for _, _, message in [*await a.has(1), *await b.has(1)]] == [b"to a", b"to b"]


async def test_a_message_is_read_when_the_one_before_it_was_handled_and_the_sender_waits(
    pair: Pair[MessageNetwork],
) -> None:
    reader, mebibyte, count = Reader(), bytes(1024 * 1024), 48
    reader.free.clear()
    pair.b.network.on_message([OLD], reader)

    async def send_all() -> None:
        for _ in range(count):
            await pair.a.network.send(pair.b.peer, [OLD], mebibyte)

    sending = asyncio.create_task(send_all())
    await reader.has(1)
    await asyncio.wait([sending], timeout=0.5)
    assert not sending.done()
    reader.free.set()
    await reader.has(count)
    await sending
    assert reader.most_inside == 1


async def test_a_message_up_to_the_limit_passes_and_a_larger_one_is_an_error(
    pair: Pair[MessageNetwork],
) -> None:
    reader = Reader()
    pair.b.network.on_message([OLD], reader)
    await pair.a.network.send(pair.b.peer, [OLD], bytes(MAX_MESSAGE))
    assert len((await reader.has(1))[0][2]) == MAX_MESSAGE
    with pytest.raises(ValueError, match="the limit is"):
        await pair.a.network.send(pair.b.peer, [OLD], bytes(MAX_MESSAGE + 1))


async def test_what_cannot_be_sent_is_told(pair: Pair[MessageNetwork]) -> None:
    with pytest.raises(PeerUnreachable):
        await pair.a.network.send(STRANGER, [OLD], b"")
    with pytest.raises(PeerUnreachable, match="speaks none of"):
        await pair.a.network.send(pair.b.peer, [OLD], b"")


async def test_hanging_up_is_heard_at_both_ends(pair: Pair[MessageNetwork]) -> None:
    heard: list[tuple[str, bool]] = []
    for end in (pair.a, pair.b):
        end.network.on_peer_change(lambda peer, connected: heard.append((peer, connected)))
    assert pair.a.network.peers() == {pair.b.peer}
    await pair.part()
    assert not pair.a.network.peers() | pair.b.network.peers()
    assert set(heard) == {(pair.a.peer, False), (pair.b.peer, False)}
    await pair.a.network.disconnect(pair.b.peer)
    await pair.join()
    assert set(heard[2:]) == {(pair.a.peer, True), (pair.b.peer, True)}
    assert len(heard) == 4


async def test_what_is_sent_after_the_peer_came_back_arrives(pair: Pair[MessageNetwork]) -> None:
    reader = Reader()
    pair.b.network.on_message([OLD], reader)
    await pair.a.network.send(pair.b.peer, [OLD], b"before")
    await reader.has(1)
    await pair.part()
    await pair.join()
    await pair.a.network.send(pair.b.peer, [OLD], b"after")
    assert (await reader.has(2))[1][2] == b"after"


async def test_of_use_is_any_peer_that_may_be_gone(pair: Pair[MessageNetwork]) -> None:
    for peer in (pair.b.peer, STRANGER):
        pair.a.network.note_use(peer)
    assert pair.a.network.peers() == {pair.b.peer}
