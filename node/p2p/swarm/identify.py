"""Who speaks what: identify (/ipfs/id/1.0.0) and identify push (/ipfs/id/push/1.0.0)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from google.protobuf.message import DecodeError
from libp2p.identity.identify.pb.identify_pb2 import Identify
from multiaddr import Multiaddr  # type: ignore[import-untyped]  # py-multiaddr ships no types

from blockstore.common import varint
from node.p2p.errors import ProtocolViolation, UndialableAddress
from node.p2p.swarm.multiaddress import from_bytes
from node.p2p.transport.connection import Pipe
from node.p2p.transport.negotiation import read_length

PROTOCOL = "/ipfs/id/1.0.0"
PUSH = "/ipfs/id/push/1.0.0"
_PROTOCOL_VERSION = "ipfs/0.1.0"
_LONGEST = 64 * 1024
_MOST_ADDRESSES, _MOST_PROTOCOLS = 16, 256


@dataclass(frozen=True, slots=True)
class PeerDescription:
    """What a peer says of itself. Addresses without `/p2p/`; only those that this node could dial."""

    agent: str
    protocols: tuple[str, ...]
    addresses: tuple[str, ...]


def describe(
    public_key: bytes, agent: str, protocols: Sequence[str], addresses: Sequence[str], observed: str
) -> bytes:
    """The message, with its length. `public_key` is the protobuf; `observed` where we see the peer."""
    message = Identify(
        protocol_version=_PROTOCOL_VERSION,
        agent_version=agent,
        public_key=public_key,
        protocols=protocols,
        listen_addrs=[Multiaddr(address).to_bytes() for address in addresses],
        observed_addr=Multiaddr(observed).to_bytes(),
    ).SerializeToString()
    return varint.encode(len(message)) + message


async def read(pipe: Pipe) -> PeerDescription:
    """Raises NetworkError."""
    data = await pipe.read_exactly(await read_length(pipe, _LONGEST))
    message = Identify()
    try:
        message.ParseFromString(data)
    except DecodeError:
        raise ProtocolViolation("identify: not its protobuf") from None
    return PeerDescription(
        agent="".join(_texts([message.agent_version]))[:128],
        protocols=tuple(_texts(message.protocols[:_MOST_PROTOCOLS])),
        addresses=tuple(_usable(message.listen_addrs[:_MOST_ADDRESSES])),
    )


def _texts(found: Sequence[object]) -> list[str]:
    """Those that are text: protobuf gives bytes for what is not UTF-8."""
    return [text for text in found if isinstance(text, str)]


def _usable(binary: Sequence[bytes]) -> list[str]:
    """Where it listens, as far as we could dial that."""
    found = []
    for data in binary:
        try:
            address = from_bytes(data)
        except UndialableAddress:
            continue  # QUIC, relays, or nonsense: none of our business
        if address.port:
            found.append(str(replace(address, peer=None)))
    return found
