"""One DHT over the open network: its protocol, the addresses that belong into it, requests both ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bitswap.network import PeerUnreachable
from cluster.common.address import Address, is_public
from cluster.errors import BadAddress
from node.names.errors import BadRecord
from node.routing.kad.message import MAX_BYTES, BadKadMessage, KadMessage
from node.routing.kad.network import NoAnswer
from node.routing.router import Provider

_MAX_REQUEST = 64 * 1024  # bytes: a record of 10 KiB, or the addresses of one provider
_ASK_SECONDS = 12.0  # for one peer, the dial included


@dataclass(frozen=True, slots=True)
class KadKind:
    """Which DHT. `public`: of addresses that are reached from everywhere, else of those that are not."""

    name: str
    protocol: str
    public: bool


WAN = KadKind("public DHT", "/ipfs/kad/1.0.0", public=True)
LAN = KadKind("DHT of local networks", "/ipfs/lan/kad/1.0.0", public=False)


class KadRequests(Protocol):
    """Requests to connected peers, and from them."""

    async def ask(self, peer: str, protocol: str, request: bytes, longest: int) -> bytes:
        """The answer, of at most `longest` bytes. Raises PeerUnreachable, within seconds."""
        ...

    async def tell(self, peer: str, protocol: str, messages: Sequence[bytes]) -> None:
        """What takes no answer, in order. Raises PeerUnreachable."""
        ...

    def on_request(
        self, protocols: Sequence[str], handler: Callable[[str, str, bytes], bytes | None], longest: int
    ) -> None:
        """(peer, protocol, request) -> the answer; empty: it takes none; None: the stream ends."""
        ...


class RequestNetwork(Protocol):
    """The open network, as the DHT needs it. A peer is the text of its id."""

    @property
    def self_id(self) -> str: ...

    @property
    def requests(self) -> KadRequests: ...

    def addresses(self, peer: str | None = None) -> Sequence[str]:
        """Multiaddresses with `/p2p/`; our own without an argument."""
        ...

    def peers(self) -> frozenset[str]: ...

    def protocols_of(self, peer: str) -> Sequence[str]:
        """What a connected peer speaks, as far as it has said so."""
        ...

    def on_described(self, handler: Callable[[str], None]) -> None:
        """Hear of each connected peer that has said what it speaks."""
        ...

    async def reach(self, peer: str, addresses: Sequence[str]) -> None:
        """Be connected to that peer for now. Raises PeerUnreachable."""
        ...


class KadStreams:
    """Satisfies KadNetwork for one kind of DHT."""

    def __init__(self, network: RequestNetwork, kind: KadKind) -> None:
        self._network = network
        self.kind = kind

    @property
    def us(self) -> Provider:
        return self._fitting(self._network.self_id, self._network.addresses())

    def accepts(self, peer: Provider) -> bool:
        """See `KadNetwork.accepts`."""
        return peer.peer != self._network.self_id and bool(self._fitting(peer.peer, peer.addresses).addresses)

    def connected(self, peer: str) -> Provider | None:
        """A connected peer that serves this DHT, with its addresses; None for any other."""
        if self.kind.protocol not in self._network.protocols_of(peer):
            return None
        return self._fitting(peer, self._network.addresses(peer))

    async def ask(self, peer: Provider, request: KadMessage) -> KadMessage:
        """See `KadNetwork.ask`."""
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                await self._network.reach(peer.peer, self._fitting(peer.peer, peer.addresses).addresses)
                data = await self._network.requests.ask(
                    peer.peer, self.kind.protocol, request.encode(), MAX_BYTES
                )
            return KadMessage.decode(data)
        except (PeerUnreachable, TimeoutError, BadKadMessage) as error:
            raise NoAnswer(f"{peer.peer}: {error}") from error

    async def tell(self, peer: Provider, messages: Sequence[KadMessage]) -> None:
        """See `KadNetwork.tell`."""
        try:
            async with asyncio.timeout(_ASK_SECONDS + len(messages) / 100):
                await self._network.reach(peer.peer, self._fitting(peer.peer, peer.addresses).addresses)
                encoded = [message.encode() for message in messages]
                await self._network.requests.tell(peer.peer, self.kind.protocol, encoded)
        except (PeerUnreachable, TimeoutError) as error:
            raise NoAnswer(f"{peer.peer}: {error}") from error

    def serve(self, answer: Callable[[str, KadMessage], KadMessage | None]) -> None:
        """Answer other peers; None is no answer. What is no request ends its stream."""

        def handle(peer: str, _protocol: str, data: bytes) -> bytes | None:
            try:
                answered = answer(peer, KadMessage.decode(data))
            except (BadKadMessage, BadRecord):
                return None
            return b"" if answered is None else answered.encode()

        self._network.requests.on_request([self.kind.protocol], handle, _MAX_REQUEST)

    def _fitting(self, peer: str, addresses: Sequence[str]) -> Provider:
        """That peer, with those of the addresses that this DHT is for and this node can dial."""
        places = dict.fromkeys(address.removesuffix(f"/p2p/{peer}") for address in addresses)
        return Provider(peer, tuple(place for place in places if self._fits(place)))

    def _fits(self, address: str) -> bool:
        try:
            parsed = Address.parse(address)
        except BadAddress:
            return False
        if self.kind.public:
            return is_public(address)
        return not is_public(address) and (self._stays_here or not _is_loopback(parsed))

    @property
    def _stays_here(self) -> bool:
        """Whether this node listens on this machine alone: its DHT is of this machine then."""
        return all(_is_loopback(Address.parse(address)) for address in self._network.addresses())


def _is_loopback(address: Address) -> bool:
    return address.host.startswith("127.") or address.host == "::1"
