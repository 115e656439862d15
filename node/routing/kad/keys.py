"""Keys of the DHT and the distance between them (libp2p specs: kad-dht, "Distance")."""

from __future__ import annotations

from hashlib import sha256

from cluster.common.peer_id import multihash_of

BITS = 256


def kad_key(name: bytes) -> int:
    """Where that name lies among the keys: a block's multihash, a peer id, `/ipns/` and a key's multihash."""
    return int.from_bytes(sha256(name).digest())


def peer_key(peer: str) -> int:
    """Where that peer lies. Raises BadAddress for what is no peer id."""
    return kad_key(multihash_of(peer))


def shared_bits(one: int, other: int) -> int:
    """How many leading bits are the same (the common prefix length)."""
    return BITS - (one ^ other).bit_length()
