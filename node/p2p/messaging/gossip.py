"""Gossip among the members: py-libp2p's gossipsub over our host, every setting explicit.

Its defaults would lose most of what we say: a heartbeat every two minutes, ten messages a second, meshes
that refuse peers of one address range. It calls a host of its own kind; `_Facade` is that, as far as it
is called. When it fails it is started again; what was lost meanwhile is what gossip may lose.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import cast

import trio
from libp2p.abc import IHost, INetConn, INetwork, INotifee
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.keys import PrivateKey, PublicKey
from libp2p.custom_types import TProtocol
from libp2p.network.exceptions import SwarmException
from libp2p.network.stream.exceptions import StreamClosed
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr  # type: ignore[import-untyped]  # py-multiaddr ships no types

from blockstore.common.token_bucket import TokenBucket
from cluster.ports import GossipMessage
from node.p2p.errors import NetworkError
from node.p2p.guarded_task import guarded
from node.p2p.messaging.gossip_intake import MAX_RPC, Intake, gossip_rate
from node.p2p.swarm.host import Host
from node.p2p.transport.connection import Stream

_PROTOCOLS = ("/meshsub/1.2.0", "/meshsub/1.1.0")
_RESTART = 1.0  # seconds
_MOST_WAITING = 16  # messages that wait for one peer
_PATIENCE = 0.5  # seconds
_LONGEST_ID = 64  # bytes of a peer id
_log = logging.getLogger(__name__)

Deliver = Callable[[str, GossipMessage], None]
"""(topic, message), on the trio thread."""


class Gossiper:
    """Topics of one host. `run` is its life; survives the failures of the library below."""

    def __init__(self, host: Host, deliver: Deliver) -> None:
        self._host = host
        self._deliver = deliver
        self._topics: set[str] = set()
        self._publishing = trio.Lock()
        self._pubsub: Pubsub | None = None
        self._nursery: trio.Nursery | None = None
        self._facade: _Facade | None = None

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
        moment; not for longer, because one slow peer must not silence us towards the others.
        """
        async with self._publishing:
            pubsub = self._pubsub
            if pubsub is None:
                return
            with trio.move_on_after(_PATIENCE):
                queues = pubsub.peer_queues
                while any(len(queue) >= _MOST_WAITING for queue in queues.values()):  # noqa: ASYNC110  # no event
                    await trio.sleep(0.002)
            await pubsub.publish(topic, message)

    def gate_changed(self) -> None:
        """Other peers may speak from now on."""
        if self._facade is not None:
            self._facade.look_again()

    async def _run_once(self) -> None:
        facade = _Facade(self._host, self._topics)
        router = _Router(self._heard)
        pubsub = _MembersPubsub(_as_host(facade), router, strict_signing=True, max_inbound_rpc_size=MAX_RPC)
        async with background_trio_service(pubsub), background_trio_service(router):
            await pubsub.wait_until_ready()
            try:
                async with trio.open_nursery() as self._nursery:
                    self._pubsub, self._facade = pubsub, facade
                    for topic in self._topics:
                        self._nursery.start_soon(pubsub.subscribe, topic)
                    await facade.run()
            finally:
                self._pubsub = self._nursery = self._facade = None
                facade.close()

    def _heard(self, forwarder: ID, message: rpc_pb2.Message) -> None:
        author = str(ID(message.from_id))
        if author != self._host.config.identity.peer_id:
            for topic in self._topics.intersection(message.topicIDs):
                self._deliver(topic, GossipMessage(author, str(forwarder), message.data))


class _Router(GossipSub):
    """Tells of each new message together with the peer that handed it on.

    The library's subscriptions give the message alone.
    """

    def __init__(self, heard: Callable[[ID, rpc_pb2.Message], None]) -> None:
        super().__init__(
            [TProtocol(protocol) for protocol in _PROTOCOLS],
            degree=6,
            degree_low=4,
            degree_high=12,
            heartbeat_interval=1,
            do_px=False,
            adaptive_gossip_enabled=False,
            spam_protection_enabled=False,  # members are authenticated; what they send is bounded by size
            eclipse_protection_enabled=False,  # members may well share an address
            max_pending_messages_per_peer=1000,
        )
        self._heard = heard

    async def publish(self, msg_forwarder: ID, pubsub_msg: rpc_pb2.Message) -> None:
        """Called once a message, our own ones too, after its signature was verified."""
        self._heard(msg_forwarder, pubsub_msg)
        await super().publish(msg_forwarder, pubsub_msg)


class _MembersPubsub(Pubsub):
    """Whoever may not speak counts as on gossipsub's blacklist.

    It gets no stream, and what it sends or has signed is dropped before anything of it is verified.
    """

    def is_peer_blacklisted(self, peer_id: ID) -> bool:
        return not cast("_Facade", self.host).may_speak(peer_id)

    async def _handle_new_peer(self, peer_id: ID) -> None:
        """The library tells a peer our topics, then counts it; it tells nobody of one that comes between."""
        told = frozenset(self.topic_ids)
        await super()._handle_new_peer(peer_id)
        for topic in self.topic_ids - told:
            announcement = rpc_pb2.RPC(subscriptions=[rpc_pb2.RPC.SubOpts(subscribe=True, topicid=topic)])
            await self.message_all_peers(announcement.SerializeToString(), announcement.subscriptions[0])

    def notify_subscriptions(self, publish_message: rpc_pb2.Message) -> None:
        """No-op: the router tells, and its queues would only fill."""


@dataclass(frozen=True, slots=True)
class _Peer:
    """What stands for a muxed connection: gossipsub reads the peer's id from it."""

    peer_id: ID
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class _Connection:
    muxed_conn: _Peer


class _Facade:
    """Our host as gossipsub wants to see it: of `IHost` and `INetwork`, what it calls."""

    def __init__(self, host: Host, topics: Collection[str]) -> None:
        self._host = host
        self._topics = topics
        self._rates: dict[str, TokenBucket] = {}
        self._pair = create_new_key_pair(host.config.identity.seed)
        self._id = ID.from_pubkey(self._pair.public_key)
        self._peerstore = PeerStore()
        self._peerstore.add_key_pair(self._id, self._pair)
        self._notifees: list[INotifee] = []
        self._changes, self._changed = trio.open_memory_channel[tuple[str, bool]](10_000)
        host.connections.watch(self._note)

    async def run(self) -> None:
        """Tell gossipsub who comes and goes, in order."""
        self.look_again()
        async for peer, connected in self._changed:
            connection = _Connection(_Peer(ID.from_base58(peer), not connected))
            for notifee in self._notifees:
                tell = notifee.connected if connected else notifee.disconnected
                await tell(_as_network(self), _as_connection(connection))

    def close(self) -> None:
        self._host.connections.unwatch(self._note)

    def look_again(self) -> None:
        """Whom gossipsub knows already it does not meet twice."""
        for peer in self._host.connections.peers():
            self._note(peer, True)

    def may_speak(self, peer: ID) -> bool:
        """Whether messages from or by that peer are looked at; any bytes may stand for one."""
        return len(peer.to_bytes()) <= _LONGEST_ID and (
            peer == self._id or self._host.config.gate.speaks(str(peer))
        )

    def _note(self, peer: str, connected: bool) -> None:
        if not connected:
            self._rates.pop(peer, None)
        try:
            self._changes.send_nowait((peer, connected and self._host.config.gate.speaks(peer)))
        except trio.WouldBlock:
            _log.warning(
                "gossip is behind: it does not hear that %s %s", peer, "came" if connected else "left"
            )

    def get_id(self) -> ID:
        return self._id

    def get_private_key(self) -> PrivateKey:
        return self._pair.private_key

    def get_public_key(self) -> PublicKey:
        return self._pair.public_key

    def get_peerstore(self) -> PeerStore:
        return self._peerstore

    def get_addrs(self) -> list[Multiaddr]:
        return [Multiaddr(address) for address in self._host.addresses]

    def get_network(self) -> _Facade:
        return self

    def register_notifee(self, notifee: INotifee) -> None:
        self._notifees.append(notifee)

    def get_connections(self, peer: ID) -> list[_Connection]:
        if not self.may_speak(peer):
            return []
        return [_Connection(_Peer(peer)) for _ in self._host.connections.of(str(peer))]

    def set_stream_handler(self, protocol: str, handler: Callable[[_Stream], Awaitable[None]]) -> None:
        async def handle(stream: Stream) -> None:
            rate = self._rates.setdefault(stream.peer, gossip_rate())
            intake = Intake(stream, self._topics, lambda author: self.may_speak(ID(author)), rate)
            await handler(_Stream(stream, intake))

        self._host.serve([protocol], handle)

    async def new_stream(self, peer: ID, protocols: Sequence[str]) -> _Stream:
        try:
            return _Stream(await self._host.open_stream(str(peer), list(protocols)))
        except NetworkError as error:
            raise SwarmException(str(error)) from error


class _Stream:
    """Our stream as gossipsub wants to see it: of `INetStream`, what it calls."""

    metric_send_channel = None

    def __init__(self, stream: Stream, intake: Intake | None = None) -> None:
        self._stream = stream
        self._source = intake or stream.pipe  # gossipsub reads on streams of the peer, and writes on its own
        self._writing = trio.Lock()  # gossipsub writes from several tasks at once
        self.muxed_conn = _Peer(ID.from_base58(stream.peer))

    def get_protocol(self) -> TProtocol:
        return TProtocol(self._stream.protocol)

    async def read(self, n: int | None = None) -> bytes:
        try:
            return await self._source.read(n)
        except NetworkError as error:
            raise StreamClosed(str(error)) from error

    async def write(self, data: bytes) -> None:
        try:
            async with self._writing:
                await self._stream.pipe.write(data)
        except NetworkError as error:
            raise StreamClosed(str(error)) from error

    async def close(self) -> None:
        await self._stream.pipe.close()

    async def reset(self) -> None:
        await self._stream.pipe.reset()


# The abstract classes of py-libp2p have dozens of methods that gossipsub never calls.
def _as_host(facade: _Facade) -> IHost:
    return facade  # type: ignore[return-value]  # see above


def _as_network(facade: _Facade) -> INetwork:
    return facade  # type: ignore[return-value]  # see above


def _as_connection(connection: _Connection) -> INetConn:
    return connection  # type: ignore[return-value]  # see above
