"""The trio program of one network: a host with its messages and its gossip, from its start to its death.

The portal runs it again after each death. What must outlive that is on the asyncio side (`LoopSide`): what is
served and subscribed to, and which peers are kept. Everything here but `LoopSide` is for the trio thread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import trio

from cluster.ports import GossipMessage
from node.p2p.errors import NetworkError
from node.p2p.messaging.gossip import Gossiper
from node.p2p.messaging.message_reader import Allowance
from node.p2p.messaging.message_streams import MessageStreams
from node.p2p.messaging.outbox import Outgoing
from node.p2p.messaging.request_services import RequestServices
from node.p2p.messaging.requests import PendingAnswer, RequestService, RequestStreams
from node.p2p.messaging.service import Service
from node.p2p.messaging.services import Services
from node.p2p.messaging.subscriptions import Subscriptions
from node.p2p.peering.connected_peers import ConnectedPeers
from node.p2p.portal import Portal, PortalClosed
from node.p2p.swarm.host import Host
from node.p2p.swarm.host_config import HostConfig
from node.p2p.swarm.identify import PeerDescription


@dataclass(frozen=True, slots=True)
class LoopSide:
    """What lives on the asyncio loop; the program reports to it through the portal.

    `services`, `requests`, `topics` and `is_kept` are read on the trio thread as well. `ready` is called by
    each start.
    """

    connected: ConnectedPeers
    services: Services
    requests: RequestServices
    topics: Subscriptions
    described: Callable[[str, PeerDescription], None]
    is_kept: Callable[[str], bool]
    ready: Callable[[], object]


@dataclass(frozen=True, slots=True)
class RunningHost:
    """What works from a start of the program to its death."""

    host: Host
    messages: MessageStreams
    requests: RequestStreams
    gossip: Gossiper | None


class HostProgram:
    """Satisfies `node.p2p.swarm.host.HostEvents`."""

    def __init__(self, portal: Portal, config: HostConfig, loop: LoopSide) -> None:
        self._portal = portal
        self._config = config
        self._loop = loop
        self._running: RunningHost | None = None

    async def run(self) -> None:
        """One host, until it dies or is cancelled."""
        host = Host(self._config, self)
        gossip = Gossiper(host, self._gossiped) if self._config.settings.gossip else None
        requests = RequestStreams(host, self._asked)
        messages = MessageStreams(host, self._config.down, self._received)
        running = RunningHost(host, messages, requests, gossip)
        try:
            await host.run(partial(self._started, running))
        finally:
            self._running = None

    def running(self) -> RunningHost:
        """Raises NetworkError between the death of a host and the start of the next one."""
        if self._running is None:
            raise NetworkError(f"the {self._config.settings.name} network is being restarted")
        return self._running

    def serve(self, service: Service) -> None:
        """A host that starts later finds it among the services."""
        if self._running is not None:
            self._running.messages.serve(service)

    def serve_requests(self, service: RequestService) -> None:
        """As `serve`, for requests."""
        if self._running is not None:
            self._running.requests.serve(service)

    def subscribe(self, topic: str) -> None:
        """As `serve`, for a topic."""
        if self._running is not None and self._running.gossip is not None:
            self._running.gossip.subscribe(topic)

    def post(self, message: Outgoing) -> None:
        """Queue it; without a host it has failed."""
        try:
            running = self.running()
        except NetworkError as error:
            message.settled(error)
        else:
            running.messages.post(message)

    def note_use(self, peer: str) -> None:
        if self._running is not None:
            self._running.host.places.use(peer, trio.current_time())

    def gate_changed(self) -> None:
        if self._running is not None and self._running.gossip is not None:
            self._running.gossip.gate_changed()

    async def publish(self, topic: str, message: bytes) -> None:
        """Without a host nothing is sent, as gossip may be lost."""
        if self._running is not None and self._running.gossip is not None:
            await self._running.gossip.publish(topic, message)

    def peer_changed(self, peer: str, connected: bool) -> None:
        self._portal.reply(self._loop.connected.changed, peer, connected)

    def peer_described(self, peer: str, description: PeerDescription) -> None:
        self._portal.reply(self._loop.described, peer, description)

    def is_kept(self, peer: str) -> bool:
        return self._config.gate.knows(peer) or self._loop.is_kept(peer)

    def _started(self, running: RunningHost) -> None:
        self._running = running
        for service in self._loop.services:
            running.messages.serve(service)
        for answered in self._loop.requests:
            running.requests.serve(answered)
        if running.gossip is not None:
            for topic in self._loop.topics:
                running.gossip.subscribe(topic)
            running.host.start("gossip", running.gossip.run)
        self._portal.reply(self._loop.ready)

    def _gossiped(self, topic: str, message: GossipMessage) -> None:
        self._portal.reply(self._loop.topics.received, topic, message)

    def _received(
        self, service: Service, peer: str, protocol: str, message: bytes, allowance: Allowance
    ) -> None:
        done = partial(self._handled, allowance, len(message))
        self._portal.reply(self._loop.services.received, service, peer, protocol, message, done)

    def _asked(
        self, service: RequestService, peer: str, protocol: str, request: bytes, pending: PendingAnswer
    ) -> None:
        answered = partial(self._answered, pending)
        self._portal.reply(self._loop.requests.received, service, peer, protocol, request, answered)

    def _answered(self, pending: PendingAnswer, answer: bytes | None) -> None:
        """Called on the asyncio loop."""
        with contextlib.suppress(PortalClosed):
            self._portal.post(pending.give, answer)

    def _handled(self, allowance: Allowance, size: int) -> None:
        """Called on the asyncio loop."""
        with contextlib.suppress(PortalClosed):
            self._portal.post(allowance.give, size)
