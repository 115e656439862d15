"""What the DHT asks of the world: a request to one peer, wherever it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from node.errors import NodeError
from node.routing.kad.message import KadMessage
from node.routing.router import Provider


class NoAnswer(NodeError):
    """The peer could not be reached, or gave no proper answer; says why."""


class KadNetwork(Protocol):
    """One DHT of the libp2p network: `/ipfs/kad/1.0.0`, or the one of local networks."""

    @property
    def us(self) -> Provider:
        """This node, with the addresses that belong into this DHT."""
        ...

    def accepts(self, peer: Provider) -> bool:
        """Whether that peer has an address of this DHT's kind that this node can dial, or is connected."""
        ...

    async def ask(self, peer: Provider, request: KadMessage) -> KadMessage:
        """Dial the peer where need be, ask and read its answer. Raises NoAnswer, within seconds."""
        ...

    async def tell(self, peer: Provider, messages: Sequence[KadMessage]) -> None:
        """Send what has no answer, in order; returns when it is sent. Raises NoAnswer."""
        ...
