"""What every Gossip promises (cluster/ports.py), run against each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from support.contract_networks import GossipNetwork, Opener, Pair, in_memory, libp2p, simulated

from cluster.ports import MAX_GOSSIP, Gossip, GossipMessage, HandlerTaken
from node.offline_network import NoNetwork

OPENERS: dict[str, Opener[GossipNetwork]] = {
    "libp2p": libp2p,
    "memory cluster": in_memory,
    "simulated cluster": simulated,
}


@pytest.fixture(params=OPENERS)
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair[GossipNetwork]]:
    async with OPENERS[request.param]() as opened:
        yield opened


class Ear:
    """A handler that keeps what it hears; `blocked` until it is told to go on."""

    def __init__(self) -> None:
        self.heard: list[GossipMessage] = []
        self.inside = 0
        self.most_inside = 0
        self.free = asyncio.Event()
        self.free.set()
        self._news = asyncio.Event()

    async def __call__(self, message: GossipMessage) -> None:
        self.heard.append(message)
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self._news.set()
        try:
            await self.free.wait()
            if message.data == b"bad":
                raise RuntimeError("cannot stomach it")
        finally:
            self.inside -= 1

    async def hears(self, data: bytes) -> GossipMessage:
        while True:
            for message in self.heard:
                if message.data == data:
                    return message
            self._news.clear()
            await self._news.wait()


async def told(gossip: Gossip, topic: str, data: bytes, ear: Ear) -> GossipMessage:
    """Publish until it is heard: a message may be lost, above all while a mesh is being formed."""

    async def keep_saying() -> None:
        while True:
            await gossip.publish(topic, data)
            await asyncio.sleep(0.05)

    saying = asyncio.create_task(keep_saying())
    try:
        async with asyncio.timeout(60):
            return await ear.hears(data)
    finally:
        saying.cancel()


async def test_a_handler_hears_what_was_said_who_said_it_and_who_handed_it_on(
    pair: Pair[GossipNetwork],
) -> None:
    ear = Ear()
    pair.b.network.subscribe("t", ear)
    assert await told(pair.a.network, "t", b"news", ear) == GossipMessage(pair.a.peer, pair.a.peer, b"news")


async def test_our_own_messages_do_not_come_back(pair: Pair[GossipNetwork]) -> None:
    ours, theirs = Ear(), Ear()
    pair.a.network.subscribe("t", ours)
    pair.b.network.subscribe("t", theirs)
    await told(pair.a.network, "t", b"of a", theirs)
    await told(pair.b.network, "t", b"of b", ours)
    assert {message.author for message in ours.heard} == {pair.b.peer}


async def test_a_topic_is_heard_apart_from_others(pair: Pair[GossipNetwork]) -> None:
    one, other = Ear(), Ear()
    pair.b.network.subscribe("one", one)
    pair.b.network.subscribe("other", other)
    await pair.a.network.publish("a topic without a handler", b"lost")
    await told(pair.a.network, "one", b"1", one)
    await told(pair.a.network, "other", b"2", other)
    assert {message.data for message in one.heard} == {b"1"}
    assert {message.data for message in other.heard} == {b"2"}


async def test_a_second_handler_of_a_topic_is_refused_and_the_first_goes_on(
    pair: Pair[GossipNetwork],
) -> None:
    first, second = Ear(), Ear()
    pair.b.network.subscribe("t", first)
    with pytest.raises(HandlerTaken, match='"t" has a handler already'):
        pair.b.network.subscribe("t", second)
    await told(pair.a.network, "t", b"news", first)
    assert not second.heard


async def test_a_message_up_to_the_limit_passes_and_a_larger_one_is_an_error(
    pair: Pair[GossipNetwork],
) -> None:
    ear = Ear()
    pair.b.network.subscribe("t", ear)
    await told(pair.a.network, "t", b"x" * MAX_GOSSIP, ear)
    with pytest.raises(ValueError, match="the limit is"):
        await pair.a.network.publish("t", bytes(MAX_GOSSIP + 1))


async def test_messages_are_handled_one_after_the_other_and_publishing_waits_for_none(
    pair: Pair[GossipNetwork],
) -> None:
    ear = Ear()
    pair.b.network.subscribe("t", ear)
    await told(pair.a.network, "t", b"first", ear)
    ear.free.clear()
    async with asyncio.timeout(60):
        for number in range(20):
            await pair.a.network.publish("t", b"%d" % number)
        ear.free.set()
    await told(pair.a.network, "t", b"last", ear)
    assert ear.most_inside == 1


async def test_a_handler_that_fails_hears_the_next_message(pair: Pair[GossipNetwork]) -> None:
    ear = Ear()
    pair.b.network.subscribe("t", ear)
    await told(pair.a.network, "t", b"bad", ear)
    await told(pair.a.network, "t", b"good", ear)
    assert pair.b.guard.failures >= 1


async def test_a_node_without_a_network_keeps_the_same_promises() -> None:
    gossip = NoNetwork()
    gossip.subscribe("t", Ear())
    with pytest.raises(HandlerTaken):
        gossip.subscribe("t", Ear())
    await gossip.publish("t", b"to no peer")
    with pytest.raises(ValueError, match="the limit is"):
        await gossip.publish("t", bytes(MAX_GOSSIP + 1))
