"""Peer ids as text: base58btc of a multihash, which of an Ed25519 key is the key (libp2p: peer-ids)."""

from __future__ import annotations

import libipld

from cluster.errors import BadAddress

_MAX_TEXT = 64  # characters; the multihash of a key has at most 38 bytes
_MULTIHASHES = (0x00, 0x12)  # a key itself, and sha2-256
_ED25519 = b"\x00\x24\x08\x01\x12\x20"  # identity multihash of a `PublicKey` message of type 1, then 32 bytes


def check_peer(peer: str) -> None:
    """Raises BadAddress unless it is the base58 text of a peer id."""
    multihash_of(peer)


def key_of(peer: str) -> bytes:
    """The 32 bytes of the Ed25519 key in a peer id. Raises BadAddress."""
    data = multihash_of(peer)
    if len(data) != len(_ED25519) + 32 or not data.startswith(_ED25519):
        raise BadAddress(f'"{peer}" is not the id of an Ed25519 key')
    return data[len(_ED25519) :]


def of_key(key: bytes) -> str:
    """`12D3Koo…` of an Ed25519 key of 32 bytes."""
    return str(libipld.encode_multibase("z", _ED25519 + key))[1:]


def multihash_of(peer: str) -> bytes:
    """The bytes of a peer id: the multihash of its key. Raises BadAddress."""
    try:
        if len(peer) > _MAX_TEXT or not peer.isascii():
            raise ValueError
        data = bytes(libipld.decode_multibase("z" + peer)[1])
        if len(data) < 3 or len(data) != data[1] + 2 or data[0] not in _MULTIHASHES:
            raise ValueError
    except ValueError:
        raise BadAddress(f"{_quoted(peer)} is not a peer id") from None
    return data


def peer_of(multihash: bytes) -> str:
    """The text of a peer id of those bytes. Raises BadAddress."""
    peer = str(libipld.encode_multibase("z", multihash[:64]))[1:]
    check_peer(peer)
    return peer


def _quoted(text: str) -> str:
    """In quotes, cut, and with what a terminal would obey spelled out."""
    return f'"{ascii(text[:100])[1:-1]}"'
