"""One libp2p network as the rest of the node sees it: peers by name, messages, gossip, calls.

`Libp2pNetwork` lives on the asyncio loop and satisfies `bitswap/network.py` and `cluster/ports.py`. Behind
the portal a `Host` does the work; when that dies it is replaced, its peers are reported gone, and those that
are wanted are dialled again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from bitswap.network import MAX_MESSAGE, MessageHandler, PeerHandler, PeerUnreachable, check_message
from blockstore.common.guard import Guard
from blockstore.common.tasks import GuardedTasks, open_guarded_tasks
from blockstore.common.throttle import Throttle
from cluster.ports import CallHandler, GossipHandler, PeerOffline, check_gossip
from node.datadir.identity import Identity
from node.p2p.admission.gate import Gate, OpenGate
from node.p2p.admission.newcomers import Newcomers
from node.p2p.errors import ListenAddressInUse, NetworkError, UndialableAddress
from node.p2p.host_handle import HostHandle
from node.p2p.host_program import HostProgram, LoopSide
from node.p2p.messaging import calls
from node.p2p.messaging.calls import Calls
from node.p2p.messaging.request_services import RequestServices
from node.p2p.messaging.sender import MessageSender
from node.p2p.messaging.service import Service
from node.p2p.messaging.services import Services
from node.p2p.messaging.subscriptions import Subscriptions
from node.p2p.messaging.traffic import GOSSIP, counting, counting_gossip
from node.p2p.peering.address_book import AddressBook
from node.p2p.peering.connected_peers import ConnectedPeers
from node.p2p.peering.dialer import Dialer
from node.p2p.peering.mdns import open_mdns
from node.p2p.peering.peering import Peering
from node.p2p.peering.visits import Visits
from node.p2p.portal import Portal
from node.p2p.requests import Requests
from node.p2p.settings import NetworkSettings
from node.p2p.swarm import multiaddress
from node.p2p.swarm.host_config import HostConfig
from node.p2p.swarm.identify import PeerDescription
from node.traffic import Traffic

__all__ = ["Libp2pNetwork", "ListenAddressInUse", "NetworkSettings", "UndialableAddress", "open_network"]

_USE_INTERVAL = 10.0  # seconds between two notes that a peer is of use


class Libp2pNetwork:
    """A peer is the text of its peer id. Made by `open_network`."""

    def __init__(self, portal: Portal, config: HostConfig, tasks: GuardedTasks, guard: Guard) -> None:
        self.traffic = Traffic()
        self._portal = portal
        self._config = config
        self._tasks = tasks
        self._listening = multiaddress.listening(config.sockets, config.identity.peer_id)
        self._guard = guard
        self._used: dict[str, float] = {}
        self._description_handlers: list[Callable[[str], None]] = []
        self._connected = ConnectedPeers(guard)
        self._book = AddressBook(config.settings.peer_file)
        self._services = Services(tasks.spawn, guard)
        self._answered = RequestServices(guard)
        self._topics = Subscriptions(tasks.spawn, guard)
        self._ready = asyncio.Event()
        self._program = HostProgram(portal, config, self._loop_side())
        self._host = HostHandle(portal, self._program)
        self._dialer = Dialer(self._host.dial, self._book, self._connected)
        self._peering = Peering(self._dialer, self._book, self._connected, tasks.spawn, guard)
        self._visits = Visits(self._hang_up, self._stays)
        self.requests = Requests(self._host, self._answered, self.traffic, self._visits.use)
        self._sender = MessageSender(self._host.send, self._dialer.dial_known, self._connected)
        self._calls = Calls(self._send_call, tasks.spawn, guard, config.gate.may_call)
        self._newcomers = Newcomers(config.gate, config.settings.join_timeout, self.disconnect, tasks.spawn)
        self._connect_parts()

    @property
    def self_id(self) -> str:
        return self._config.identity.peer_id

    def addresses(self, peer: str | None = None) -> tuple[str, ...]:
        """Multiaddresses with `/p2p/`: of a peer as far as known, or the ones this node listens on."""
        if peer is None or peer == self.self_id:
            return self._listening
        return self._book.addresses(peer)

    def peers(self) -> frozenset[str]:
        return frozenset(self._connected)

    def on_peer_change(self, handler: PeerHandler) -> None:
        self._connected.on_change(handler)

    def describe(self, peer: str) -> PeerDescription | None:
        """What a connected peer says of itself, once it has said it."""
        return self._connected.description(peer)

    def protocols_of(self, peer: str) -> Sequence[str]:
        """What a connected peer speaks; none before it has said so."""
        description = self._connected.description(peer)
        return () if description is None else description.protocols

    async def connect(self, address: str) -> str:
        """Dial a multiaddress with `/p2p/` and stay connected to that peer; its id.

        Raises UndialableAddress, PeerOffline. A peer that cannot be reached now is not kept trying for.
        """
        peer = await self.visit(address)
        self._peering.keep(peer)
        return peer

    async def visit(self, address: str) -> str:
        """As `connect`, but that peer is not kept connected. Raises UndialableAddress, PeerOffline."""
        peer, text = self._named(address)
        try:
            await self._dialer.dial(peer, [text])
        except NetworkError as error:
            raise PeerOffline(f"{peer} cannot be reached: {error}") from error
        self._book.learn(peer, [text])
        return peer

    async def visit_briefly(self, address: str) -> str:
        """As `visit`, and hung up when the connection is of no use any more."""
        peer = await self.visit(address)
        self._visits.begin(peer)
        return peer

    def keep(self, address: str) -> str:
        """Stay connected to the peer of that multiaddress, whenever it can be reached; its id.

        Raises UndialableAddress.
        """
        peer, text = self._named(address)
        self._book.learn(peer, [text])
        self._peering.keep(peer)
        return peer

    def kept(self) -> frozenset[str]:
        """Peers that stay connected because a user or a setting named them."""
        return frozenset(self._book.wanted())

    def let_go(self, peer: str) -> None:
        """Do not keep that peer connected; its connection stays."""
        self._peering.forget(peer)

    async def remember(self) -> None:
        """Which peers are kept is on the disk when this returns. Raises StorageFull."""
        await self._book.save_durably()

    def keep_connected(self, wanted: Mapping[str, Sequence[str]]) -> None:
        """Stay connected to exactly these peers, beside those that `connect` named: peer -> its addresses.

        Replaces what the call before wanted; idempotent. Never waits: each peer is dialled in the background
        at these addresses and at those known otherwise, with back-off. An address, with or without `/p2p/`,
        that leads to another peer is not dialled for this one until its addresses change, or for an hour.
        """
        self._peering.keep_connected({peer: found for peer, found in wanted.items() if peer != self.self_id})

    async def reach(self, peer: str, addresses: Sequence[str]) -> None:
        """Be connected to that peer for now: it is hung up when that is of no use any more.

        `addresses`, with `/p2p/` or without, of strangers: those that cannot be dialled, or lead to another
        peer, are passed over. Raises PeerUnreachable.
        """
        if peer in self._connected:
            self._visits.use(peer)
            return
        try:
            await self._dialer.dial(peer, self._book.candidates(peer, multiaddress.dialable(addresses, peer)))
        except NetworkError as error:
            raise PeerUnreachable(f"{peer}: {error}") from error
        self._visits.begin(peer)

    def on_described(self, handler: Callable[[str], None]) -> None:
        """Hear of each connected peer that has said who it is: `describe` gives it. Must not block."""
        self._description_handlers.append(handler)

    async def disconnect(self, peer: str) -> None:
        """See `bitswap.network.MessageNetwork`."""
        self._peering.forget(peer)
        await self._hang_up(peer)

    async def ping(self, peer: str) -> float:
        """A round trip to a connected peer, in seconds. Raises PeerOffline."""
        try:
            return await self._host.ping(peer)
        except NetworkError as error:
            raise PeerOffline(str(error)) from error

    async def send(self, peer: str, protocols: Sequence[str], message: bytes) -> str:
        """See `bitswap.network.MessageNetwork`."""
        check_message(message)
        return await self._send(peer, tuple(protocols), message)

    def on_message(self, protocols: Sequence[str], handler: MessageHandler) -> None:
        """See `bitswap.network.MessageNetwork`."""
        self._serve(Service(tuple(protocols), handler, MAX_MESSAGE, limited=True))

    def note_use(self, peer: str) -> None:
        """See `bitswap.network.MessageNetwork`; passed on now and then."""
        now = asyncio.get_running_loop().time()
        self._visits.use(peer)
        if peer in self._connected and now - self._used.get(peer, -_USE_INTERVAL) >= _USE_INTERVAL:
            self._used[peer] = now
            self._host.note_use(peer)

    async def publish(self, topic: str, message: bytes) -> None:
        """See `cluster.ports.Gossip`. Raises ValueError."""
        check_gossip(message)
        self.traffic.sent(GOSSIP, len(message))
        await self._host.publish(topic, message)

    def subscribe(self, topic: str, handler: GossipHandler) -> None:
        """See `cluster.ports.Gossip`. Raises HandlerTaken."""
        self._topics.add(topic, counting_gossip(self.traffic, handler))
        self._host.subscribe(topic)

    async def call(self, peer: str, method: str, request: bytes, timeout: float = 15.0) -> bytes:
        return await self._calls.call(peer, method, request, timeout)

    def serve(self, method: str, handler: CallHandler) -> None:
        self._calls.serve(method, handler)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep a host running behind the portal; entered once it listens."""
        name = self._config.settings.name
        try:
            async with self._portal.running(name, self._program.run, self._connected.all_gone):
                await self._ready.wait()
                self._peering.keep_named(self._config.settings.keep)
                self._tasks.spawn(self._book.keep_saved())
                self._tasks.spawn(self._visits.run())
                yield
        finally:
            self._newcomers.close()
            await self._book.save()

    def _loop_side(self) -> LoopSide:
        return LoopSide(
            self._connected,
            self._services,
            self._answered,
            self._topics,
            self._described,
            lambda peer: self._peering.keeps(peer),
            self._ready.set,
        )

    def _connect_parts(self) -> None:
        for part in (self._calls, self._newcomers, self._sender, self._services, self._visits):
            self._connected.on_change(part.peer_changed)
        self._connected.on_change(self._peer_changed)
        self._config.gate.on_change(self._gate_changed)
        self._serve(Service((calls.PROTOCOL,), self._calls.on_message, calls.MAX_FRAME, to_all=True))

    def _serve(self, service: Service) -> None:
        service = replace(service, handler=counting(self.traffic, service.handler))
        self._services.add(service)
        self._host.serve(service)

    def _named(self, address: str) -> tuple[str, str]:
        """The peer of a multiaddress, and it in its usual form. Raises UndialableAddress."""
        target = multiaddress.parse(address)
        if target.peer is None or target.peer == self.self_id:
            raise UndialableAddress(f'"{address}" must end in /p2p/ and the id of another peer')
        return target.peer, str(target)

    async def _send_call(self, peer: str, frame: bytes) -> None:
        await self._send(peer, (calls.PROTOCOL,), frame)

    async def _send(self, peer: str, protocols: tuple[str, ...], message: bytes) -> str:
        protocol = await self._sender.send(peer, protocols, message)
        self.traffic.sent(protocol, len(message))
        return protocol

    def _peer_changed(self, peer: str, connected: bool) -> None:
        if not connected:
            self._used.pop(peer, None)

    def _gate_changed(self) -> None:
        self._newcomers.gate_changed(self.peers())
        self._host.gate_changed()

    def _described(self, peer: str, description: PeerDescription) -> None:
        if self._connected.described(peer, description):
            self._book.learn(peer, description.addresses)
            for handler in tuple(self._description_handlers):
                with self._guard.around("the description of a peer", peer):
                    handler(peer)

    def _stays(self, peer: str) -> bool:
        return self._peering.keeps(peer)

    async def _hang_up(self, peer: str) -> None:
        with contextlib.suppress(NetworkError):
            await self._host.hang_up(peer)


@asynccontextmanager
async def open_network(
    portal: Portal,
    identity: Identity,
    settings: NetworkSettings,
    guard: Guard | None = None,
    gate: Gate | None = None,
    down: Throttle | None = None,
) -> AsyncIterator[Libp2pNetwork]:
    """A network that listens, and keeps connected the peers that it is to keep.

    Handlers run under `guard`: what a peer sent ends no more than the work on that. `gate`: who may speak;
    `down`: what messages pass before they are read.
    Raises ListenAddressInUse, UndialableAddress. Leaving closes every connection.
    """
    guard, gate = guard or Guard(), OpenGate() if gate is None else gate
    async with AsyncExitStack() as stack:
        sockets = [
            stack.enter_context(multiaddress.bind(multiaddress.parse(text), settings.port_setting))
            for text in settings.listen
        ]
        tasks = await stack.enter_async_context(open_guarded_tasks(guard, f"the {settings.name} network"))
        network = Libp2pNetwork(
            portal, HostConfig(identity, settings, sockets, gate, down or Throttle()), tasks, guard
        )
        await stack.enter_async_context(network.running())
        if settings.mdns:
            await stack.enter_async_context(open_mdns(network, settings, guard))
        yield network
