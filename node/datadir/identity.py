"""The node's key: who we are on every network, and the proof of it.

The file is what Kubo and libp2p write: the protobuf `PrivateKey` (libp2p peer-id spec, "Keys"), in base64 as
in Kubo's `Identity.PrivKey`; the raw protobuf is read as well.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from blockstore.common.text_file import BadText, decode_text
from node.errors import NodeError
from node.files.atomic_write import atomic_write

_PRIVATE = b"\x08\x01\x12\x40"  # KeyType Ed25519, then 64 bytes: seed and public key
_PUBLIC = b"\x08\x01\x12\x20"  # KeyType Ed25519, then 32 bytes
_MULTIHASH = b"\x00\x24"  # identity multihash of the 36 bytes of a public key
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


class BadIdentity(NodeError):
    """A key file or peer id that cannot be read; says which and why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """An Ed25519 key pair. `seed` is the secret: 32 bytes."""

    seed: bytes
    public: bytes
    peer_id: str

    @classmethod
    def generate(cls) -> Identity:
        return cls.from_seed(os.urandom(32))

    @classmethod
    def from_seed(cls, seed: bytes) -> Identity:
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        return cls(seed, public, peer_id_of(public))

    @classmethod
    def from_protobuf(cls, data: bytes) -> Identity:
        """Raises BadIdentity for anything but a whole Ed25519 private key whose halves fit."""
        if len(data) != 68 or not data.startswith(_PRIVATE):
            raise BadIdentity("not an Ed25519 private key in libp2p's form (68 bytes, type 1)")
        identity = cls.from_seed(data[4:36])
        if identity.public != data[36:]:
            raise BadIdentity("the public half does not belong to the private one: the key is damaged")
        return identity

    def to_protobuf(self) -> bytes:
        """The `PrivateKey` message, 68 bytes."""
        return _PRIVATE + self.seed + self.public

    @property
    def public_protobuf(self) -> bytes:
        """The `PublicKey` message, 36 bytes."""
        return _PUBLIC + self.public

    def sign(self, data: bytes) -> bytes:
        """An Ed25519 signature, 64 bytes."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(data)

    @staticmethod
    def verify(peer: str, data: bytes, signature: bytes) -> bool:
        """Whether that peer's key made the signature; False for an id that holds no Ed25519 key."""
        try:
            Ed25519PublicKey.from_public_bytes(public_key_of(peer)).verify(signature, data)
        except (BadIdentity, InvalidSignature):
            return False
        return True

    def __repr__(self) -> str:
        return f"Identity({self.peer_id})"  # never the secret


def peer_id_of(public: bytes) -> str:
    """`12D3Koo…`: the identity multihash of a 32-byte Ed25519 public key in base58btc."""
    return to_base58(_MULTIHASH + _PUBLIC + public)


def public_key_of(peer: str) -> bytes:
    """The 32-byte Ed25519 public key inside a peer id. Raises BadIdentity."""
    data = from_base58(peer)
    head = _MULTIHASH + _PUBLIC
    if len(data) != 38 or not data.startswith(head):
        raise BadIdentity(f'"{peer}" is not the id of an Ed25519 key')
    return data[6:]


def load(path: Path) -> Identity:
    """Read a key file. Raises BadIdentity, FileNotFoundError."""
    data = path.read_bytes()
    try:
        if len(data) != 68:
            data = base64.b64decode(decode_text(data).strip(), validate=True)
        return Identity.from_protobuf(data)
    except (BadIdentity, BadText, binascii.Error) as error:
        raise BadIdentity(f"{path} is not this node's key: {error}; restore it from a backup") from None


def save(identity: Identity, path: Path) -> None:
    """Write the key file whole or not at all, readable by its owner only."""
    atomic_write(path, base64.b64encode(identity.to_protobuf()) + b"\n")


def to_base58(data: bytes) -> str:
    """The text of a peer id."""
    number, text = int.from_bytes(data), ""
    while number:
        number, digit = divmod(number, 58)
        text = _ALPHABET[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def from_base58(text: str) -> bytes:
    number = 0
    if len(text) > 64:  # a multihash of a key is at most 38 bytes
        raise BadIdentity("a peer id is at most 64 characters")
    for character in text:
        digit = _ALPHABET.find(character)
        if digit < 0:
            raise BadIdentity(f'"{text}" is not a peer id (base58btc)')
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8)
