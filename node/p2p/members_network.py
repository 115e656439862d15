"""The members' network for code that works with members only: no other peer is seen, or heard."""

from __future__ import annotations

from collections.abc import Sequence

from bitswap.network import MessageHandler, PeerHandler, PeerUnreachable
from cluster.ports import CallHandler
from node.p2p.admission.gate import Gate
from node.p2p.network import Libp2pNetwork


class MembersNetwork:
    """Satisfies `bitswap.network.MessageNetwork` and `cluster.ports.PeerCalls`.

    A peer that is connected comes when it becomes a member, and goes when it is one no more.
    """

    def __init__(self, network: Libp2pNetwork, gate: Gate) -> None:
        self._network = network
        self._gate = gate
        self._here: set[str] = set()
        self._handlers: list[PeerHandler] = []
        network.on_peer_change(self._peer_changed)
        gate.on_change(self._gate_changed)
        self._gate_changed()

    @property
    def self_id(self) -> str:
        return self._network.self_id

    def peers(self) -> frozenset[str]:
        return frozenset(self._here)

    def on_peer_change(self, handler: PeerHandler) -> None:
        self._handlers.append(handler)

    def addresses(self, peer: str) -> Sequence[str]:
        return self._network.addresses(peer)

    async def connect(self, address: str) -> str:
        return await self._network.connect(address)

    async def call(self, peer: str, method: str, request: bytes, timeout: float = 15.0) -> bytes:
        return await self._network.call(peer, method, request, timeout)

    def serve(self, method: str, handler: CallHandler) -> None:
        self._network.serve(method, handler)

    async def disconnect(self, peer: str) -> None:
        await self._network.disconnect(peer)

    async def send(self, peer: str, protocols: Sequence[str], message: bytes) -> str:
        """See `bitswap.network.MessageNetwork`; to a peer that is no member it raises PeerUnreachable."""
        if not self._gate.speaks(peer):
            raise PeerUnreachable(f"{peer} is not a member of this cluster")
        return await self._network.send(peer, protocols, message)

    def on_message(self, protocols: Sequence[str], handler: MessageHandler) -> None:
        async def handle(peer: str, protocol: str, message: bytes) -> None:
            if self._gate.speaks(peer):  # it may have been removed while the message waited
                await handler(peer, protocol, message)

        self._network.on_message(protocols, handle)

    def note_use(self, peer: str) -> None:
        self._network.note_use(peer)

    def _gate_changed(self) -> None:
        for peer in self._network.peers():
            self._peer_changed(peer, True)

    def _peer_changed(self, peer: str, connected: bool) -> None:
        here = connected and self._gate.speaks(peer)
        if here == (peer in self._here):
            return
        (self._here.add if here else self._here.discard)(peer)
        for handler in tuple(self._handlers):
            handler(peer, here)
