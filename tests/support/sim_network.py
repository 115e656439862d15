"""A network in memory: seeded latency, lost connections, slow readers; order is kept per pair."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bitswap.network import MessageHandler, PeerHandler, PeerUnreachable, check_free, check_message

_WINDOW = 1024 * 1024  # bytes between two nodes that the sender need not wait for, as socket buffers hold


@dataclass(slots=True)
class Traffic:
    """What one node sent: messages and their bytes."""

    messages: int = 0
    bytes: int = 0


class _Wire:
    """One direction of a connection: what is under way, delivered in order by one task."""

    def __init__(self, network: SimNetwork, source: SimNode, target: SimNode) -> None:
        self._network = network
        self._source = source
        self._target = target
        self._queue: deque[tuple[float, str, bytes]] = deque()
        self._bytes = 0
        self._change = asyncio.Event()
        self._broken = False
        self.task = network.group.create_task(self._deliver())

    async def send(self, protocol: str, message: bytes) -> None:
        self._queue.append((self._network.arrival(), protocol, message))
        self._bytes += len(message)
        self._notify()
        while self._bytes > _WINDOW and not self._broken:
            await self._change.wait()
        if self._broken:
            raise PeerUnreachable(f"connection to {self._target.self_id} broke")

    def cut(self) -> None:
        self._broken = True
        self._notify()
        self.task.cancel()

    def _notify(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    async def _deliver(self) -> None:
        while True:
            while not self._queue:
                await self._change.wait()
            when, protocol, message = self._queue.popleft()
            loop = asyncio.get_running_loop()
            reading = len(message) / self._target.bytes_per_second
            await asyncio.sleep(max(0.0, when - loop.time()) + reading)
            handler = self._target.handlers.get(protocol)
            if handler is not None:
                await handler(self._source.self_id, protocol, message)
            self._bytes -= len(message)
            self._notify()


class SimNode:
    """One node's end: a MessageNetwork."""

    def __init__(self, network: SimNetwork, name: str) -> None:
        self._network = network
        self._name = name
        self.handlers: dict[str, MessageHandler] = {}
        self.listeners: list[PeerHandler] = []
        self.wires: dict[str, _Wire] = {}
        self.sent = Traffic()
        self.bytes_per_second = float("inf")
        self._failure: Exception | None = None

    def fail_once(self, error: Exception) -> None:
        """The next message is not sent, for no reason that anybody expects."""
        self._failure = error

    def __repr__(self) -> str:
        return f"<SimNode {self._name} connected to {', '.join(self.wires) or 'nobody'}>"

    @property
    def self_id(self) -> str:
        return self._name

    async def send(self, peer: str, protocols: Sequence[str], message: bytes) -> str:
        if (failure := self._failure) is not None:
            self._failure = None
            raise failure
        check_message(message)
        self._network.maybe_lose(self._name, peer)
        if peer not in self.wires:
            self._network.dial(self._name, peer)
        served = self._network.nodes[peer].handlers
        spoken = next((protocol for protocol in protocols if protocol in served), None)
        if spoken is None:
            raise PeerUnreachable(f"{peer} speaks none of {', '.join(protocols)}")
        self.sent.messages += 1
        self.sent.bytes += len(message)
        await self.wires[peer].send(spoken, message)
        return spoken

    async def disconnect(self, peer: str) -> None:
        self._network.disconnect(self._name, peer)

    def on_message(self, protocols: Sequence[str], handler: MessageHandler) -> None:
        check_free(protocols, self.handlers)
        self.handlers.update(dict.fromkeys(protocols, handler))

    def peers(self) -> frozenset[str]:
        return frozenset(self.wires)

    def on_peer_change(self, handler: PeerHandler) -> None:
        self.listeners.append(handler)

    def note_use(self, peer: str) -> None:
        """No peer has to go here."""


class SimNetwork:
    """Nodes by name. `latency`: bounds in seconds. `loss`: chance a message that the connection breaks.

    `dials`: whether sending to a node that is not connected connects it.
    """

    def __init__(
        self,
        group: asyncio.TaskGroup,
        *,
        seed: int = 0,
        latency: tuple[float, float] = (0.001, 0.005),
        loss: float = 0.0,
        dials: bool = False,
    ) -> None:
        self.group = group
        self.nodes: dict[str, SimNode] = {}
        self.losses = 0
        self._random = random.Random(seed)
        self._latency = latency
        self._loss = loss
        self._dials = dials

    def node(self, name: str) -> SimNode:
        return self.nodes.setdefault(name, SimNode(self, name))

    def connect(self, one: str, other: str) -> None:
        """Both hear of it, once."""
        a, b = self.node(one), self.node(other)
        if other not in a.wires:
            a.wires[other], b.wires[one] = _Wire(self, a, b), _Wire(self, b, a)
            self._tell(a, b, True)

    def connect_all(self) -> None:
        names = list(self.nodes)
        for position, name in enumerate(names):
            for other in names[position + 1 :]:
                self.connect(name, other)

    def disconnect(self, one: str, other: str) -> None:
        """What is under way is lost."""
        a, b = self.nodes[one], self.nodes[other]
        if other in a.wires:
            a.wires.pop(other).cut()
            b.wires.pop(one).cut()
            self._tell(a, b, False)

    def dial(self, one: str, other: str) -> None:
        if not self._dials or other not in self.nodes:
            raise PeerUnreachable(f"{other} is not connected")
        self.connect(one, other)

    def maybe_lose(self, one: str, other: str) -> None:
        if other in self.nodes[one].wires and self._random.random() < self._loss:
            self.losses += 1
            self.disconnect(one, other)

    def arrival(self) -> float:
        return asyncio.get_running_loop().time() + self._random.uniform(*self._latency)

    def close(self) -> None:
        for node in self.nodes.values():
            for wire in node.wires.values():
                wire.cut()

    def _tell(self, a: SimNode, b: SimNode, connected: bool) -> None:
        for listener in a.listeners:
            listener(b.self_id, connected)
        for listener in b.listeners:
            listener(a.self_id, connected)


@asynccontextmanager
async def open_sim(
    *,
    seed: int = 0,
    latency: tuple[float, float] = (0.001, 0.005),
    loss: float = 0.0,
    dials: bool = False,
) -> AsyncIterator[SimNetwork]:
    """A network for one test; a handler that fails fails the test."""
    async with asyncio.TaskGroup() as group:
        network = SimNetwork(group, seed=seed, latency=latency, loss=loss, dials=dials)
        try:
            yield network
        finally:
            network.close()
