"""Gossip among the members: py-libp2p's gossipsub over our host.

When it fails it is started again; what was lost meanwhile is what gossip may lose.
"""

from __future__ import annotations

from collections.abc import Callable

import trio
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service

from cluster.ports import GossipMessage
from node.p2p.guarded_task import guarded
from node.p2p.messaging.gossip_host import GossipHost, as_host
from node.p2p.messaging.gossip_router import MembersPubsub, MembersRouter
from node.p2p.swarm.host import Host

_RESTART = 1.0  # seconds
_MAX_WAITING = 16  # messages that wait for one peer
_MAX_DELAY = 0.5  # seconds for which a burst is held back

Deliver = Callable[[str, GossipMessage], None]
"""(topic, message), on the trio thread."""


class Gossiper:
    """Topics of one host. `run` is its life: failures of the library are logged, and it is started again."""

    def __init__(self, host: Host, deliver: Deliver) -> None:
        self._host = host
        self._deliver = deliver
        self._topics: set[str] = set()
        self._publishing = trio.Lock()
        self._pubsub: Pubsub | None = None
        self._nursery: trio.Nursery | None = None
        self._gossip_host: GossipHost | None = None
        self._stalled: frozenset[ID] = frozenset()  # peers that took nothing while a burst was held back

    async def run(self) -> None:
        while True:
            await guarded("gossip", self._run_once)
            await trio.sleep(_RESTART)

    def subscribe(self, topic: str) -> None:
        if topic not in self._topics:
            self._topics.add(topic)
            if self._pubsub is not None and self._nursery is not None:
                self._nursery.start_soon(self._pubsub.subscribe, topic)

    async def publish(self, topic: str, message: bytes) -> None:
        """Best effort: while gossip is being restarted, nothing is sent.

        gossipsub drops what comes when 32 messages wait for a peer, so a burst is held back here for a
        moment; not for longer, because one slow peer must not silence us towards the others. A peer that was
        waited for in vain, such as a process that is stopped, is not waited for again until it takes some.
        """
        async with self._publishing:
            pubsub = self._pubsub
            if pubsub is None:
                return
            with trio.move_on_after(_MAX_DELAY):
                while self._full(pubsub) - self._stalled:  # noqa: ASYNC110  # no event
                    await trio.sleep(0.002)
            self._stalled = self._full(pubsub)
            await pubsub.publish(topic, message)

    @staticmethod
    def _full(pubsub: Pubsub) -> frozenset[ID]:
        """Peers for which many messages wait."""
        return frozenset(peer for peer, queue in pubsub.peer_queues.items() if len(queue) >= _MAX_WAITING)

    def gate_changed(self) -> None:
        """Other peers may speak from now on."""
        if self._gossip_host is not None:
            self._gossip_host.announce_peers()

    async def _run_once(self) -> None:
        gossip_host = GossipHost(self._host, self._topics)
        router = MembersRouter(self._heard)
        pubsub = MembersPubsub(as_host(gossip_host), router, gossip_host.may_speak)
        async with background_trio_service(pubsub), background_trio_service(router):
            await pubsub.wait_until_ready()
            try:
                async with trio.open_nursery() as self._nursery:
                    self._pubsub, self._gossip_host = pubsub, gossip_host
                    for topic in self._topics:
                        self._nursery.start_soon(pubsub.subscribe, topic)
                    await gossip_host.run()
            finally:
                self._pubsub = self._nursery = self._gossip_host = None
                gossip_host.close()

    def _heard(self, forwarder: ID, message: rpc_pb2.Message) -> None:
        author = str(ID(message.from_id))
        if author != self._host.config.identity.peer_id:
            for topic in self._topics.intersection(message.topicIDs):
                self._deliver(topic, GossipMessage(author, str(forwarder), message.data))
