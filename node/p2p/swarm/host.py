"""The trio side of one network: its connections, and what is done for the peers at their other ends.

py-libp2p's own host (`BasicHost` over `Swarm`) is not used: any handler's exception ends it, dead
connections stay in its table, it tries one TCP address a peer and shuns a peer for a minute when that
fails, and importing it costs more than this node weighs. Its parts are: Noise, keys, identify's and
gossipsub's messages, gossipsub itself.

Every connection is one nursery: its muxer, the streams the peer opened, identify, the watch over its
liveness. When one of them decides that the connection is over, all of it ends, and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

import trio

from node.p2p.admission.places import Place, Places
from node.p2p.errors import DialFailed
from node.p2p.guarded_task import guarded, within
from node.p2p.swarm import identify, liveness
from node.p2p.swarm.connection_table import ConnectionTable
from node.p2p.swarm.host_config import HostConfig
from node.p2p.swarm.identify import PeerDescription
from node.p2p.swarm.identify_service import IdentifyService
from node.p2p.swarm.listener import StreamListener
from node.p2p.swarm.multiaddress import Address, listening, parse
from node.p2p.swarm.stream_server import StreamHandler, StreamServer
from node.p2p.transport import connection as connections
from node.p2p.transport import negotiation
from node.p2p.transport.byte_stream import TcpByteStream
from node.p2p.transport.connection import Connection, Pipe, Security, Stream
from node.p2p.transport.noise import Noise

_DIAL_TIMEOUT = 5.0  # seconds for a TCP connection
_UPGRADE_TIMEOUT = 10.0  # until it is authenticated
_STREAM_TIMEOUT = 10.0  # until a stream has a protocol
_MAX_DIALS = 16
_log = logging.getLogger(__name__)


class HostEvents(Protocol):
    """What a host reports. Called on the trio thread; must not wait."""

    def peer_changed(self, peer: str, connected: bool) -> None: ...

    def peer_described(self, peer: str, description: PeerDescription) -> None: ...

    def is_kept(self, peer: str) -> bool:
        """Whether that peer stays connected whatever other peers come."""
        ...


class Host:
    """One host. `run` is its life; the other methods are for while it runs, on the trio thread."""

    def __init__(self, config: HostConfig, events: HostEvents) -> None:
        settings = config.settings
        self.config = config
        self.addresses = listening(config.sockets, config.identity.peer_id)
        self.connections = ConnectionTable(config.identity.peer_id)
        self.places = Places(settings.max_connections, events.is_kept)
        self._security = Security(
            Noise(config.identity, settings.fast_noise), settings.psk, settings.fast_yamux
        )
        self._server = StreamServer(config.gate, settings.linger)
        self._identify = IdentifyService(
            config, lambda: self._server.protocols, self.open_stream_on, events.peer_described
        )
        self._listener = StreamListener(settings.name, self.places, self._accepted, self.start)
        self._nurseries: dict[Connection, trio.Nursery] = {}
        self._dials = trio.CapacityLimiter(_MAX_DIALS)
        self._serve_basics()
        self.connections.watch(events.peer_changed)

    async def run(self, started: Callable[[], None]) -> None:
        """Listen and serve until cancelled."""
        async with trio.open_nursery() as self._nursery:
            for listening in self.config.sockets:
                self._nursery.start_soon(self._listener.run, listening)
            started()
            await trio.sleep_forever()

    def start(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do something beside, guarded, for as long as the host runs."""
        self._nursery.start_soon(guarded, what, work)

    async def dial(self, peer: str, address: str) -> bool:
        """Connect to that peer at that address; False when it is connected already.

        Raises NetworkError, of which OtherPeerAnswered says that the address is another peer's.
        """
        async with self._dials:
            if peer in self.connections:
                return False
            try:
                await self._dial_one(parse(address), peer)
            except (OSError, ValueError) as error:  # the latter of names that cannot be looked up
                raise DialFailed(str(error)) from error
            return True

    async def hang_up(self, peer: str) -> None:
        """End every connection to that peer."""
        for connection in self.connections.of(peer):
            await connections.close(connection)

    async def open_stream(self, peer: str, protocols: Sequence[str]) -> Stream:
        """A new stream to a connected peer. Raises NetworkError."""
        return await self.open_stream_on(self.connections.newest_of(peer), protocols)

    async def open_stream_on(self, connection: Connection, protocols: Sequence[str]) -> Stream:
        """Raises NetworkError."""
        pipe: Pipe | None = None
        try:
            async with within(_STREAM_TIMEOUT, f"opening a stream to {connection.peer}"):
                pipe = await connection.muxer.open_stream()
                protocol = await negotiation.ask(pipe, protocols)
        except BaseException:
            if pipe is not None:
                await pipe.reset()
            raise
        return Stream(connection.peer, protocol, pipe, connection)

    def serve(self, protocols: Iterable[str], handler: StreamHandler, *, to_all: bool = False) -> None:
        """Serve these from now on, and say so to connected peers. `to_all`: whatever the gate says."""
        self._server.add(protocols, handler, to_all=to_all)
        for connection in self.connections.newest():
            self._nursery.start_soon(guarded, "identify push", self._identify.push, connection)

    def _serve_basics(self) -> None:
        """What every libp2p host speaks, and no gate is for."""
        self._server.add([identify.PROTOCOL], self._identify.answer, to_all=True)
        self._server.add([identify.PUSH], self._identify.take_push, to_all=True)
        self._server.add([liveness.PROTOCOL], liveness.answer, to_all=True)

    async def _accepted(self, stream: trio.SocketStream, place: Place) -> None:
        """The life of an accepted connection. Raises Full, NetworkError."""
        connection = await self._upgrade(stream, None, place.spoke)
        self.places.prove(place, connection.peer)
        self.connections.add(connection)
        await self._hold(connection)

    async def _dial_one(self, address: Address, peer: str) -> None:
        async with within(_DIAL_TIMEOUT, "connecting"):
            stream = await trio.open_tcp_stream(address.host, address.port)
        try:
            connection = await self._upgrade(stream, peer)
            self.connections.add(connection)
        except BaseException:
            stream.socket.close()
            raise
        self._nursery.start_soon(guarded, repr(connection), self._hold, connection)

    async def _upgrade(
        self, stream: trio.SocketStream, peer: str | None, on_spoken: Callable[[], None] = lambda: None
    ) -> Connection:
        async with within(_UPGRADE_TIMEOUT, "the handshake"):
            return await connections.upgrade(
                TcpByteStream(stream), self._security, peer, self._on_stream, on_spoken
            )

    async def _hold(self, connection: Connection) -> None:
        """The life of a connection that was added."""
        try:
            async with trio.open_nursery() as nursery:
                self._nurseries[connection] = nursery
                what = f"identify {connection.peer}"
                nursery.start_soon(guarded, what, self._identify.ask, connection)
                nursery.start_soon(self._watch, connection, nursery.cancel_scope)
                await connection.muxer.run()
                nursery.cancel_scope.cancel()
        finally:
            self._nurseries.pop(connection, None)
            self.connections.remove(connection)
            await connections.close(connection)

    async def _watch(self, connection: Connection, scope: trio.CancelScope) -> None:
        settings = self.config.settings
        await liveness.watch(connection, self.open_stream_on, settings.ping_interval, settings.ping_timeout)
        _log.debug("%s: %s is silent; disconnected", settings.name, connection.peer)
        scope.cancel()

    def _on_stream(self, connection: Connection, pipe: Pipe) -> None:
        what = f"stream from {connection.peer}"
        self._nurseries[connection].start_soon(guarded, what, self._server.serve, connection, pipe)
