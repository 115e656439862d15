"""Our host as py-libp2p's gossipsub wants to see one: adapters of what it calls, and no more."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

import trio
from libp2p.abc import IHost, INetConn, INetwork, INotifee
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.keys import PrivateKey, PublicKey
from libp2p.custom_types import TProtocol
from libp2p.network.exceptions import SwarmException
from libp2p.network.stream.exceptions import StreamClosed
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from multiaddr import Multiaddr  # type: ignore[import-untyped]  # py-multiaddr ships no types

from blockstore.common.token_bucket import TokenBucket
from node.p2p.errors import NetworkError
from node.p2p.messaging.gossip_intake import Intake, gossip_rate
from node.p2p.swarm.host import Host
from node.p2p.transport.connection import Stream

_MAX_PEER_ID = 64  # bytes
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Peer:
    """What stands for a muxed connection: gossipsub reads the peer's id from it."""

    peer_id: ID
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class _Connection:
    muxed_conn: _Peer


class GossipHost:
    """An adapter: our host as gossipsub's `IHost` and `INetwork`, as far as it calls them."""

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
        """Report to gossipsub which peers come and go, in order."""
        self.announce_peers()
        async for peer, connected in self._changed:
            connection = _Connection(_Peer(ID.from_base58(peer), not connected))
            for notifee in self._notifees:
                notify = notifee.connected if connected else notifee.disconnected
                await notify(_as_network(self), _as_connection(connection))

    def close(self) -> None:
        self._host.connections.unwatch(self._note)

    def announce_peers(self) -> None:
        """Report to gossipsub all connected peers; one that it knows already changes nothing."""
        for peer in self._host.connections.peers():
            self._note(peer, True)

    def may_speak(self, peer: ID) -> bool:
        """Whether messages from or by that peer are looked at; any bytes may stand for one."""
        return len(peer.to_bytes()) <= _MAX_PEER_ID and (
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

    def get_network(self) -> GossipHost:
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
    """An adapter: our stream as gossipsub's `INetStream`, as far as it calls that."""

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
def as_host(host: GossipHost) -> IHost:
    return host  # type: ignore[return-value]  # see above


def _as_network(host: GossipHost) -> INetwork:
    return host  # type: ignore[return-value]  # see above


def _as_connection(connection: _Connection) -> INetConn:
    return connection  # type: ignore[return-value]  # see above
