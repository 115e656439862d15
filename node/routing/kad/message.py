"""Messages of the DHT (libp2p specs: kad-dht, "RPC messages"): read, bounded, and written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum

from blockstore.common import protobuf
from cluster.common.peer_id import multihash_of, peer_of
from cluster.errors import BadAddress
from node.multiaddress_bytes import BadMultiaddress, to_bytes, to_text
from node.routing.router import Provider

MAX_BYTES = 1 << 20
"""Of one message. go-libp2p allows 4 MiB; a thousand providers with ten addresses each are half of ours."""

MAX_KEY = 256
"""Bytes of a key: a multihash, or `/ipns/` and one."""

_MOST_PEERS = 1024
_MOST_ADDRESSES = 16  # of one peer that are looked at
_REPEATED = 4096  # occurrences of one field
_VARINT, _BYTES = 0, 2


class BadKadMessage(ValueError):
    """Bytes that are no message of the DHT."""


class KadType(IntEnum):
    """What a message asks for; PING is deprecated, and answered all the same."""

    PUT_VALUE = 0
    GET_VALUE = 1
    ADD_PROVIDER = 2
    GET_PROVIDERS = 3
    FIND_NODE = 4
    PING = 5


@dataclass(frozen=True, slots=True)
class KadRecord:
    """A value under a key, not verified."""

    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class KadMessage:
    """A request or an answer; `closer` are peers nearer to the key."""

    type: KadType
    key: bytes = b""
    record: KadRecord | None = None
    closer: tuple[Provider, ...] = ()
    providers: tuple[Provider, ...] = ()

    def encode(self) -> bytes:
        """Peers and addresses that have no binary form are left out."""
        parts = [protobuf.varint_field(1, self.type), protobuf.bytes_field(2, self.key)]
        if self.record is not None:
            record = protobuf.bytes_field(1, self.record.key) + protobuf.bytes_field(2, self.record.value)
            parts.append(protobuf.bytes_field(3, record))
        parts += (protobuf.bytes_field(8, peer) for peer in _encoded(self.closer))
        parts += (protobuf.bytes_field(9, peer) for peer in _encoded(self.providers))
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> KadMessage:
        """Peers of another form than theirs are passed over. Raises BadKadMessage."""
        if len(data) > MAX_BYTES:
            raise BadKadMessage(f"a message of {len(data)} bytes; the limit is {MAX_BYTES}")
        try:
            return _decoded(memoryview(data))
        except ValueError as error:
            raise BadKadMessage(f"not a message of the DHT: {error}") from None


def _decoded(data: memoryview) -> KadMessage:
    kind, key, record = 0, b"", None
    peers: dict[int, list[Provider]] = {8: [], 9: []}
    known = {1: _VARINT, 2: _BYTES, 3: _BYTES, 8: _BYTES, 9: _BYTES}
    for number, value, span in protobuf.fields(data, known, _REPEATED):
        if number == 1:
            kind = value
        elif number == 2:
            key = _key(span)
        elif number == 3:
            record = _record(span)
        elif len(peers[number]) < _MOST_PEERS:
            peers[number] += _peer(span)
    return KadMessage(KadType(kind), key, record, tuple(peers[8]), tuple(peers[9]))


def _key(span: memoryview) -> bytes:
    if len(span) > MAX_KEY:
        raise ValueError(f"a key of {len(span)} bytes; the limit is {MAX_KEY}")
    return bytes(span)


def _record(data: memoryview) -> KadRecord:
    key = value = b""
    for number, _, span in protobuf.fields(data, {1: _BYTES, 2: _BYTES}, 2):
        if number == 1:
            key = _key(span)
        else:
            value = bytes(span)
    return KadRecord(key, value)


def _peer(data: memoryview) -> Iterator[Provider]:
    """One, or none where it is no peer's id."""
    multihash, addresses = b"", list[bytes]()
    for number, _, span in protobuf.fields(data, {1: _BYTES, 2: _BYTES}, _REPEATED):
        if number == 1:
            multihash = bytes(span)
        elif len(addresses) < _MOST_ADDRESSES:
            addresses.append(bytes(span))
    with suppress(BadAddress):
        peer = peer_of(multihash)
        yield Provider(peer, tuple(_texts(peer, addresses)))


def _texts(peer: str, addresses: list[bytes]) -> Iterator[str]:
    for address in dict.fromkeys(addresses):
        with suppress(BadMultiaddress):
            yield to_text(address).removesuffix(f"/p2p/{peer}")


def _encoded(peers: tuple[Provider, ...]) -> Iterator[bytes]:
    for peer in peers:
        with suppress(BadAddress):
            parts = [protobuf.bytes_field(1, multihash_of(peer.peer))]
            parts += (protobuf.bytes_field(2, one) for one in _binary(peer.addresses))
            yield b"".join(parts)


def _binary(addresses: tuple[str, ...]) -> Iterator[bytes]:
    for address in addresses[:_MOST_ADDRESSES]:
        with suppress(BadMultiaddress):
            yield to_bytes(address)
