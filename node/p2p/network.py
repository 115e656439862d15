"""One libp2p network as the rest of the node sees it: peers by name, messages, gossip, calls.

`Libp2pNetwork` lives on the asyncio loop and satisfies `bitswap/network.py` and `cluster/ports.py`.
Behind the portal a `Host` does the work; when that dies it is replaced, its peers are reported gone, and
those that are wanted are dialled again. Everything that must survive such a death is here: the listening
sockets, who serves what, what is subscribed to, which peers are wanted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import trio

from bitswap.network import (
    MAX_MESSAGE,
    MessageHandler,
    PeerHandler,
    PeerUnreachable,
    check_free,
    check_message,
)
from blockstore.common.guard import Guard
from cluster.ports import CallHandler, GossipHandler, GossipMessage, PeerOffline, check_gossip, claim
from node.datadir.identity import Identity
from node.p2p.admission.gate import Gate, OpenGate
from node.p2p.admission.newcomers import Newcomers
from node.p2p.errors import ConnectionLost, ListenAddressInUse, NetworkError, UndialableAddress
from node.p2p.messaging import calls
from node.p2p.messaging.calls import Calls
from node.p2p.messaging.flow_control import Backlog, Budget, Inbox
from node.p2p.messaging.gossip import Gossiper
from node.p2p.messaging.messages import Allowance, Outgoing, read_messages
from node.p2p.peering.address_book import AddressBook
from node.p2p.peering.connected_peers import ConnectedPeers
from node.p2p.peering.dialer import Dialer
from node.p2p.peering.mdns import open_mdns
from node.p2p.peering.peering import Peering
from node.p2p.portal import Portal, PortalClosed
from node.p2p.settings import NetworkSettings
from node.p2p.swarm import liveness, multiaddress
from node.p2p.swarm.host import Host
from node.p2p.swarm.identify import PeerDescription
from node.p2p.transport.connection import Stream

__all__ = ["Libp2pNetwork", "ListenAddressInUse", "NetworkSettings", "UndialableAddress", "open_network"]

T = TypeVar("T")
_IN_FLIGHT = 4 * 1024 * 1024  # bytes of messages on their way to one peer
_USE_INTERVAL = 10.0  # seconds between two notes that a peer is of use
_log = logging.getLogger(__name__)


class Libp2pNetwork:
    """A peer is the text of its peer id. Made by `open_network`."""

    def __init__(
        self,
        portal: Portal,
        identity: Identity,
        settings: NetworkSettings,
        sockets: Sequence[socket.socket],
        guard: Guard,
        gate: Gate,
    ) -> None:
        self._portal = portal
        self._guard = guard
        self._gate = gate
        self._identity = identity
        self._settings = settings
        self._sockets = sockets
        self._listening = multiaddress.listening(sockets, identity.peer_id)
        self._tasks: set[asyncio.Task[None]] = set()
        self._peers = ConnectedPeers(guard)
        self._book = AddressBook(settings.peer_file)
        self._dialer = Dialer(self._dial, self._book, self._peers)
        self._peering = Peering(self._dialer, self._book, self._peers, self._spawn_cancellable, guard)
        self._calls = Calls(self._send_call, self._spawn, guard, gate.may_call)
        self._newcomers = Newcomers(gate, settings.join_timeout, self.disconnect, self._spawn)
        self._ready = asyncio.Event()
        for handler in (self._calls.peer_changed, self._newcomers.peer_changed, self._forget_gone):
            self._peers.on_change(handler)
        self._services: list[_Service] = []
        self._inboxes: dict[tuple[str, _Service], Inbox] = {}
        self._budgets: dict[str, Budget] = {}
        self._used: dict[str, float] = {}
        self._topics: dict[str, Backlog] = {}
        self._host: Host | None = None  # these two are for the trio side only
        self._gossiper: Gossiper | None = None
        self._serve(_Service((calls.PROTOCOL,), self._calls.on_message, calls.MAX_FRAME, to_all=True))
        gate.on_change(self._gate_changed)

    @property
    def self_id(self) -> str:
        return self._identity.peer_id

    def addresses(self, peer: str | None = None) -> tuple[str, ...]:
        """Multiaddresses with `/p2p/`: of a peer as far as known, or the ones this node listens on."""
        if peer is None or peer == self.self_id:
            return self._listening
        return self._book.addresses(peer)

    def peers(self) -> frozenset[str]:
        return frozenset(self._peers)

    def on_peer_change(self, handler: PeerHandler) -> None:
        self._peers.on_change(handler)

    def describe(self, peer: str) -> PeerDescription | None:
        """What a connected peer says of itself, once it has said it."""
        return self._peers.description(peer)

    async def connect(self, address: str) -> str:
        """Dial a multiaddress with `/p2p/` and stay connected to that peer; its id.

        Raises UndialableAddress, PeerOffline. A peer that cannot be reached now is not kept trying for.
        """
        target = multiaddress.parse(address)
        if target.peer is None or target.peer == self.self_id:
            raise UndialableAddress(f'"{address}" must end in /p2p/ and the id of another peer')
        try:
            await self._dialer.dial(target.peer, [str(target)])
        except NetworkError as error:
            raise PeerOffline(f"{target.peer} cannot be reached: {error}") from error
        self._book.learn(target.peer, [str(target)])
        self._peering.keep(target.peer)
        return target.peer

    def keep_connected(self, wanted: Mapping[str, Sequence[str]]) -> None:
        """Stay connected to exactly these peers, beside those that `connect` named: peer -> its addresses.

        Replaces what the call before wanted; idempotent. Never waits: each peer is dialled in the background
        at these addresses and at those known otherwise, with back-off. An address, with or without `/p2p/`,
        that leads to another peer is not dialled for this one until its addresses change, or for an hour.
        """
        self._peering.keep_connected({peer: found for peer, found in wanted.items() if peer != self.self_id})

    async def disconnect(self, peer: str) -> None:
        """See `bitswap.network.MessageNetwork`."""
        self._peering.forget(peer)
        with contextlib.suppress(PortalClosed, NetworkError):
            await self._on_host(lambda host: host.hang_up(peer))

    async def ping(self, peer: str) -> float:
        """A round trip to a connected peer, in seconds. Raises PeerOffline."""

        async def ping(host: Host) -> float:
            stream = await host.open_stream(peer, [liveness.PROTOCOL])
            try:
                return await liveness.ping(stream)
            finally:
                await stream.pipe.reset()

        try:
            return await self._on_host(ping)
        except (NetworkError, PortalClosed) as error:
            raise PeerOffline(str(error)) from error

    async def send(self, peer: str, protocols: Sequence[str], message: bytes) -> str:
        """See `bitswap.network.MessageNetwork`."""
        check_message(message)
        return await self._send(peer, tuple(protocols), message)

    def on_message(self, protocols: Sequence[str], handler: MessageHandler) -> None:
        """See `bitswap.network.MessageNetwork`."""
        check_free(protocols, [taken for service in self._services for taken in service.protocols])
        self._serve(_Service(tuple(protocols), handler, MAX_MESSAGE))

    def note_use(self, peer: str) -> None:
        """See `bitswap.network.MessageNetwork`; passed on now and then."""
        now = asyncio.get_running_loop().time()
        if peer in self._peers and now - self._used.get(peer, -_USE_INTERVAL) >= _USE_INTERVAL:
            self._used[peer] = now
            with contextlib.suppress(PortalClosed):
                self._portal.post(self._note_use, peer)

    async def publish(self, topic: str, message: bytes) -> None:
        """See `cluster.ports.Gossip`. Raises ValueError."""
        check_gossip(message)

        async def publish() -> None:
            if self._gossiper is not None:
                await self._gossiper.publish(topic, message)

        with contextlib.suppress(PortalClosed):
            await self._portal.to_trio(publish)

    def subscribe(self, topic: str, handler: GossipHandler) -> None:
        """See `cluster.ports.Gossip`. Raises HandlerTaken."""
        claim(topic, self._topics)
        self._topics[topic] = backlog = Backlog()
        self._spawn(self._hear(topic, backlog, handler))

        def subscribe() -> None:
            if self._gossiper is not None:
                self._gossiper.subscribe(topic)

        with contextlib.suppress(PortalClosed):
            self._portal.post(subscribe)

    async def call(self, peer: str, method: str, request: bytes, timeout: float = 15.0) -> bytes:
        return await self._calls.call(peer, method, request, timeout)

    def serve(self, method: str, handler: CallHandler) -> None:
        self._calls.serve(method, handler)

    async def _send(self, peer: str, protocols: tuple[str, ...], message: bytes) -> str:
        if peer not in self._peers:
            try:
                await self._dialer.dial_known(peer)
            except NetworkError as error:
                raise PeerUnreachable(f"{peer} cannot be reached: {error}") from error
        result: asyncio.Future[str | NetworkError] = asyncio.get_running_loop().create_future()
        outgoing = Outgoing(peer, protocols, message, lambda end: self._portal.reply(_resolve, result, end))
        budget = self._budgets.setdefault(peer, Budget(_IN_FLIGHT))
        async with budget.hold(len(message)):
            try:
                self._portal.post(self._post, outgoing)
                settled = await self._portal.wait(result)
            except PortalClosed as error:
                raise PeerUnreachable(f"{peer}: {error}") from error
            except asyncio.CancelledError:
                outgoing.withdrawn = True
                raise
        if isinstance(settled, NetworkError):
            raise PeerUnreachable(f"{peer}: {settled}") from settled
        return settled

    async def _send_call(self, peer: str, frame: bytes) -> None:
        await self._send(peer, (calls.PROTOCOL,), frame)

    def _serve(self, service: _Service) -> None:
        self._services.append(service)

        def serve() -> None:
            if self._host is not None:
                self._serve_on(self._host, service)

        with contextlib.suppress(PortalClosed):
            self._portal.post(serve)

    async def _dial(self, peer: str, address: str) -> bool:
        try:
            return await self._on_host(lambda host: host.dial(peer, address))
        except PortalClosed as error:
            raise ConnectionLost(str(error)) from error

    async def _on_host(self, work: Callable[[Host], Awaitable[T]]) -> T:
        async def run() -> T:
            if self._host is None:
                raise NetworkError(f"the {self._settings.name} network is being restarted")
            return await work(self._host)

        return await self._portal.to_trio(run)

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _spawn_cancellable(self, work: Coroutine[object, object, None]) -> Callable[[], object]:
        return self._spawn(work).cancel

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a task of the %s network failed: %r", self._settings.name, error, exc_info=error)

    async def _hear(self, topic: str, backlog: Backlog, handler: GossipHandler) -> None:
        while True:
            message = await backlog.get()
            with self._guard.around(f"gossip on {topic}", message.author):
                await handler(message)

    async def _close(self) -> None:
        self._newcomers.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._book.save()

    # What follows is called on the loop, by way of `Portal.reply`.

    def _forget_gone(self, peer: str, connected: bool) -> None:
        if not connected:
            self._budgets.pop(peer, None)
            self._used.pop(peer, None)
            for key in [key for key in self._inboxes if key[0] == peer]:
                del self._inboxes[key]  # what it holds is still handled

    def _gate_changed(self) -> None:
        self._newcomers.gate_changed(self._peers)

        def changed() -> None:
            if self._gossiper is not None:
                self._gossiper.gate_changed()

        with contextlib.suppress(PortalClosed):
            self._portal.post(changed)

    def _peer_described(self, peer: str, description: PeerDescription) -> None:
        if self._peers.described(peer, description):
            self._book.learn(peer, description.addresses)

    def _received(
        self, service: _Service, peer: str, protocol: str, message: bytes, allowance: Allowance
    ) -> None:
        inbox = self._inboxes.get((peer, service))
        if inbox is None:
            inbox = self._inboxes[peer, service] = Inbox(protocol, peer, self._spawn, self._guard)
        inbox.put(partial(self._handle, service, peer, protocol, message, allowance))

    async def _handle(
        self, service: _Service, peer: str, protocol: str, message: bytes, allowance: Allowance
    ) -> None:
        try:
            await service.handler(peer, protocol, message)
        finally:
            with contextlib.suppress(PortalClosed):
                self._portal.post(allowance.give, len(message))

    def _heard(self, topic: str, message: GossipMessage) -> None:
        if not self._topics[topic].put(message):
            _log.debug("gossip on %s comes faster than it is handled; a message was dropped", topic)

    def _host_ended(self) -> None:
        self._peers.all_gone()

    # What follows runs on the trio thread.

    async def run(self) -> None:
        """The trio program: one host, from its start to its death."""
        host = Host(self._identity, self._settings, self._sockets, self, self._gate)
        gossiper = Gossiper(host, self._gossiped) if self._settings.gossip else None

        def started() -> None:
            self._host, self._gossiper = host, gossiper
            for service in tuple(self._services):
                self._serve_on(host, service)
            if gossiper is not None:
                for topic in tuple(self._topics):
                    gossiper.subscribe(topic)
                host.start("gossip", gossiper.run)
            self._portal.reply(self._ready.set)

        try:
            await host.run(started)
        finally:
            self._host = self._gossiper = None

    def peer_changed(self, peer: str, connected: bool) -> None:
        self._portal.reply(self._peers.changed, peer, connected)

    def peer_described(self, peer: str, description: PeerDescription) -> None:
        self._portal.reply(self._peer_described, peer, description)

    def is_kept(self, peer: str) -> bool:
        return self._gate.knows(peer) or self._peering.keeps(peer)

    def _note_use(self, peer: str) -> None:
        if self._host is not None:
            self._host.places.use(peer, trio.current_time())

    def _gossiped(self, topic: str, message: GossipMessage) -> None:
        self._portal.reply(self._heard, topic, message)

    def _post(self, outgoing: Outgoing) -> None:
        if self._host is None:
            outgoing.settled(NetworkError("the network is being restarted"))
        else:
            self._host.post(outgoing)

    def _serve_on(self, host: Host, service: _Service) -> None:
        host.serve(service.protocols, partial(self._read, host, service), to_all=service.to_all)

    async def _read(self, host: Host, service: _Service, stream: Stream) -> None:
        allowance = host.allowance(stream.peer, service)

        def deliver(message: bytes) -> None:
            self._portal.reply(self._received, service, stream.peer, stream.protocol, message, allowance)

        await read_messages(stream, service.longest, allowance, deliver)


@dataclass(frozen=True, slots=True, eq=False)
class _Service:
    """Protocols, who handles their messages, the longest in bytes, and whether they pass any gate."""

    protocols: tuple[str, ...]
    handler: MessageHandler
    longest: int
    to_all: bool = False


def _resolve(result: asyncio.Future[T], value: T) -> None:
    if not result.done():
        result.set_result(value)


@asynccontextmanager
async def open_network(
    portal: Portal,
    identity: Identity,
    settings: NetworkSettings,
    guard: Guard | None = None,
    gate: Gate | None = None,
) -> AsyncIterator[Libp2pNetwork]:
    """A network that listens, and keeps what it was told to keep connected.

    Handlers run under `guard`: what a peer sent ends no more than the work on that. `gate`: who may speak.
    Raises ListenAddressInUse, UndialableAddress. Leaving closes every connection.
    """
    async with AsyncExitStack() as stack:
        sockets = [
            stack.enter_context(multiaddress.bind(multiaddress.parse(text), settings.port_setting))
            for text in settings.listen
        ]
        network = Libp2pNetwork(
            portal, identity, settings, sockets, guard or Guard(), OpenGate() if gate is None else gate
        )
        stack.push_async_callback(network._close)
        await stack.enter_async_context(portal.running(settings.name, network.run, network._host_ended))
        await network._ready.wait()
        network._spawn(network._book.keep_saved())
        network._peering.keep_named(settings.keep)
        if settings.mdns:
            await stack.enter_async_context(open_mdns(network, settings, network._guard))
        yield network
