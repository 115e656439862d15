"""The trio side of one network: who is connected, who may connect, and what is done for them.

py-libp2p's own host (`BasicHost` over `Swarm`) is not used: any handler's exception ends it, dead
connections stay in its table, it tries one TCP address a peer and shuns a peer for a minute when that
fails, and importing it costs more than this node weighs. Its parts are: Noise, keys, identify's and
gossipsub's messages, gossipsub itself.

Every connection is one nursery: its muxer, the streams the peer opened, identify, the watch over its
liveness. When one of them decides that the connection is over, all of it ends, and nothing else.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

import trio

from node.datadir.identity import Identity
from node.p2p.admission.gate import Gate
from node.p2p.admission.places import Full, Places
from node.p2p.admission.stream_limit import Streams
from node.p2p.errors import ConnectionLost, DialFailed, ProtocolViolation
from node.p2p.guarded_task import guarded, within
from node.p2p.messaging.messages import Allowance, Outbox, Outgoing
from node.p2p.settings import NetworkSettings
from node.p2p.swarm import identify, liveness
from node.p2p.swarm.identify import PeerDescription
from node.p2p.swarm.multiaddress import Address, listening, parse
from node.p2p.transport import connection as connections
from node.p2p.transport import negotiation
from node.p2p.transport.byte_stream import TcpByteStream
from node.p2p.transport.connection import Connection, Pipe, Security, Stream
from node.p2p.transport.noise import Noise

StreamHandler = Callable[[Stream], Awaitable[None]]

_DIAL_TIMEOUT = 5.0  # seconds for a TCP connection
_UPGRADE_TIMEOUT = 10.0  # until it is authenticated
_STREAM_TIMEOUT = 10.0  # until a stream has a protocol
_MOST_PER_PEER = 4
_MOST_DIALS = 16
_log = logging.getLogger(__name__)


class HostEvents(Protocol):
    """Who hears of what happens. Called on the trio thread; must not wait."""

    def peer_changed(self, peer: str, connected: bool) -> None: ...

    def peer_described(self, peer: str, description: PeerDescription) -> None: ...

    def is_kept(self, peer: str) -> bool:
        """Whether it stays connected whoever else comes."""
        ...


class Host:
    """One host. `run` is its life; the other methods are for while it runs, on the trio thread."""

    def __init__(
        self,
        identity: Identity,
        settings: NetworkSettings,
        sockets: Sequence[socket.socket],
        events: HostEvents,
        gate: Gate,
    ) -> None:
        self.identity = identity
        self.settings = settings
        self.addresses = listening(sockets, identity.peer_id)
        self.connections: dict[str, list[Connection]] = {}
        self.handlers: dict[str, StreamHandler] = {
            identify.PROTOCOL: self._identify_ourselves,
            identify.PUSH: self._take_push,
            liveness.PROTOCOL: liveness.answer,
        }
        self.watchers: list[Callable[[str, bool], None]] = [events.peer_changed]
        self.gate = gate
        self._to_all = set(self.handlers)  # protocols that no gate is for
        self._events = events
        self._sockets = sockets
        self._security = Security(Noise(identity, settings.fast_noise), settings.psk, settings.fast_yamux)
        self._nurseries: dict[Connection, trio.Nursery] = {}
        self.places = Places(settings.max_connections, events.is_kept)
        self._dials = trio.CapacityLimiter(_MOST_DIALS)
        self._streams = Streams()
        self._outboxes: dict[tuple[str, tuple[str, ...]], Outbox] = {}
        self._allowances: dict[tuple[str, object], Allowance] = {}

    async def run(self, started: Callable[[], None]) -> None:
        """Listen and serve until cancelled."""
        async with trio.open_nursery() as self._nursery:
            for listener in self._sockets:
                self._nursery.start_soon(self._listen, listener.dup())
            started()
            await trio.sleep_forever()

    def start(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do something beside, for as long as the host runs."""
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
        for connection in list(self.connections.get(peer, ())):
            await connections.close(connection)

    async def open_stream(self, peer: str, protocols: Sequence[str]) -> Stream:
        """A new stream to a connected peer. Raises NetworkError."""
        found = self.connections.get(peer)
        if not found:
            raise ConnectionLost(f"not connected to {peer}")
        return await self.open_stream_on(found[-1], protocols)  # the newest: an older one may be dead

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

    def post(self, message: Outgoing) -> None:
        """Queue a message behind those for the same peer and protocols."""
        key = (message.peer, message.protocols)
        outbox = self._outboxes.get(key)
        if outbox is None:
            outbox = self._outboxes[key] = Outbox(self.open_stream, lambda: self._outboxes.pop(key))
            self._nursery.start_soon(guarded, f"messages to {message.peer}", outbox.run)
        outbox.put(message)

    def allowance(self, peer: str, of: object) -> Allowance:
        """What that peer may have waiting with one service; forgotten when it disconnects."""
        return self._allowances.setdefault((peer, of), Allowance())

    def serve(self, protocols: Sequence[str], handler: StreamHandler, *, to_all: bool = False) -> None:
        """Serve these protocols from now on, and tell who is connected. `to_all`: whatever the gate says."""
        self.handlers.update(dict.fromkeys(protocols, handler))
        if to_all:
            self._to_all.update(protocols)
        for found in self.connections.values():
            self._nursery.start_soon(guarded, "identify push", self._push, found[-1])

    async def _listen(self, stdlib_socket: socket.socket) -> None:
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(stdlib_socket))
        async with listener:
            while True:
                try:
                    stream = await listener.accept()
                except OSError as error:  # no file descriptor left, or the caller is gone already
                    _log.warning("%s: accepting a connection failed: %s", self.settings.name, error)
                    await trio.sleep(0.1)
                    continue
                self._nursery.start_soon(guarded, "accepted connection", self._accept, stream)

    async def _accept(self, stream: trio.SocketStream) -> None:
        async with stream:
            host: str = stream.socket.getpeername()[0]
            with trio.CancelScope() as scope:
                place = self.places.enter(host, trio.current_time(), scope.cancel)
                try:
                    connection = await self._upgrade(stream, None, place.spoke)
                    self.places.prove(place, connection.peer)
                    self._add(connection)
                    await self._hold(connection)
                except Full:
                    _log.debug("%s: full, %s at %s was refused", self.settings.name, place.peer, host)
                finally:
                    self.places.leave(place)

    async def _dial_one(self, address: Address, peer: str) -> None:
        async with within(_DIAL_TIMEOUT, "connecting"):
            stream = await trio.open_tcp_stream(address.host, address.port)
        try:
            connection = await self._upgrade(stream, peer)
            self._add(connection)
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
                nursery.start_soon(guarded, f"identify {connection.peer}", self._identify, connection)
                nursery.start_soon(self._watch, connection, nursery.cancel_scope)
                await connection.muxer.run()
                nursery.cancel_scope.cancel()
        finally:
            self._remove(connection)
            await connections.close(connection)

    async def _watch(self, connection: Connection, scope: trio.CancelScope) -> None:
        settings = self.settings
        await liveness.watch(connection, self.open_stream_on, settings.ping_interval, settings.ping_timeout)
        _log.debug("%s: %s is silent; disconnected", self.settings.name, connection.peer)
        scope.cancel()

    def _add(self, connection: Connection) -> None:
        known = self.connections.get(connection.peer, [])
        if connection.peer == self.identity.peer_id:
            raise DialFailed("that is this node itself")
        if len(known) >= _MOST_PER_PEER:
            raise ProtocolViolation(f"{_MOST_PER_PEER} connections to one peer are enough")
        for older in known:
            older.doubted.set()  # why would the peer connect again, were it still there?
        self.connections[connection.peer] = [*known, connection]
        if not known:
            self._tell(connection.peer, True)

    def _remove(self, connection: Connection) -> None:
        self._nurseries.pop(connection, None)
        known = self.connections.get(connection.peer, [])
        if connection not in known:
            return
        known.remove(connection)
        if not known:
            del self.connections[connection.peer]
            for key in [key for key in self._allowances if key[0] == connection.peer]:
                del self._allowances[key]
            self._tell(connection.peer, False)

    def _tell(self, peer: str, connected: bool) -> None:
        for watcher in self.watchers:
            watcher(peer, connected)

    def _on_stream(self, connection: Connection, pipe: Pipe) -> None:
        what = f"stream from {connection.peer}"
        self._nurseries[connection].start_soon(guarded, what, self._serve, connection, pipe)

    async def _serve(self, connection: Connection, pipe: Pipe) -> None:
        try:
            async with within(_STREAM_TIMEOUT, "agreeing on a protocol"):
                protocol = await negotiation.answer(pipe, self._offered(connection.peer))
            with self._streams.opened(connection.peer, protocol, pipe):
                await self.handlers[protocol](Stream(connection.peer, protocol, pipe, connection))
                await pipe.close()
                async with within(self.settings.linger, "the end of a stream"):
                    while await pipe.read():  # not reset: that could overtake what we have just written
                        continue
        except BaseException:
            await pipe.reset()
            raise

    def _offered(self, peer: str) -> Collection[str]:
        return self.handlers if self.gate.speaks(peer) else self._to_all

    async def _identify(self, connection: Connection) -> None:
        stream = await self.open_stream_on(connection, [identify.PROTOCOL])
        try:
            async with within(_STREAM_TIMEOUT, "identify"):
                self._events.peer_described(connection.peer, await identify.read(stream.pipe))
        finally:
            await stream.pipe.reset()

    async def _identify_ourselves(self, stream: Stream) -> None:
        await stream.pipe.write(self._description(stream.connection))

    async def _push(self, connection: Connection) -> None:
        stream = await self.open_stream_on(connection, [identify.PUSH])
        try:
            await stream.pipe.write(self._description(connection))
        finally:
            await stream.pipe.close()

    async def _take_push(self, stream: Stream) -> None:
        async with within(_STREAM_TIMEOUT, "identify push"):
            self._events.peer_described(stream.peer, await identify.read(stream.pipe))

    def _description(self, connection: Connection) -> bytes:
        addresses = [address.partition("/p2p/")[0] for address in self.addresses]
        protocols = list(self.handlers)
        return identify.describe(
            self.identity.public_protobuf, self.settings.agent, protocols, addresses, connection.remote
        )
