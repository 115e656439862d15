"""What gossipsub is told of peers and topics, in whatever order they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import trio
import trio.testing
from support.p2p_pipes import Recorder

from cluster.ports import GossipMessage
from node.datadir.identity import Identity
from node.p2p.admission.gate import OpenGate
from node.p2p.messaging.gossip import Gossiper
from node.p2p.settings import NetworkSettings
from node.p2p.swarm.host import Host
from node.p2p.swarm.host_config import HostConfig
from node.p2p.swarm.stream_server import StreamHandler
from node.p2p.transport.connection import Stream

PEER = Identity.generate().peer_id


class Greeted(Recorder):
    """The stream to a peer; something happens before the first write on it is done."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    async def write(self, data: bytes) -> None:
        if not self.written:
            self._meanwhile()
            await trio.testing.wait_all_tasks_blocked()
        await super().write(data)


class OneConnection:
    """A table of connections: that peer is there from the start, and stays."""

    def watch(self, _told: Callable[[str, bool], None]) -> None:
        """Nothing changes."""

    def unwatch(self, _told: Callable[[str, bool], None]) -> None:
        """Nothing changes."""

    def peers(self) -> list[str]:
        return [PEER]

    def of(self, peer: str) -> list[str]:
        return ["a connection"] if peer == PEER else []


class OnePeer:
    """Of a host, what gossip calls: one peer is connected, over that stream."""

    config = HostConfig(Identity.generate(), NetworkSettings("test"), (), OpenGate())
    addresses: tuple[str, ...] = ()
    connections = OneConnection()

    def __init__(self, pipe: Greeted) -> None:
        self._pipe = pipe

    def serve(self, protocols: Sequence[str], handler: StreamHandler) -> None:
        """The peer opens no streams to us."""

    async def open_stream(self, peer: str, protocols: Sequence[str]) -> Stream:
        return Stream(peer, protocols[0], self._pipe, connection=None)  # type: ignore[arg-type]  # not looked at


def test_a_topic_that_comes_while_a_peer_is_greeted_is_told_to_it_too() -> None:
    async def run() -> None:
        pipe = Greeted(lambda: gossip.subscribe("late"))
        gossip = Gossiper(cast("Host", OnePeer(pipe)), deliver)
        gossip.subscribe("early")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(gossip.run)
            await trio.sleep(60)
            assert b"early" in pipe.written
            assert b"late" in pipe.written
            nursery.cancel_scope.cancel()

    def deliver(topic: str, message: GossipMessage) -> None:
        raise AssertionError(f"nothing was said: {topic} {message}")

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))
