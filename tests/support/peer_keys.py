"""Real Ed25519 identities, made from a number so that a test has the same ones each time."""

from __future__ import annotations

import hashlib

import libipld
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_PREFIX = bytes.fromhex("002408011220")  # identity multihash of a libp2p public key message


class Key:
    """The cluster's Signer."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"%d" % number).digest())
        public = self._private.public_key().public_bytes_raw()
        self._peer_id = str(libipld.encode_multibase("z", _PREFIX + public))[1:]

    @property
    def peer_id(self) -> str:
        return self._peer_id

    def sign(self, data: bytes) -> bytes:
        return self._private.sign(data)

    def verify(self, peer: str, data: bytes, signature: bytes) -> bool:
        public = libipld.decode_multibase("z" + peer)[1][len(_PREFIX) :]
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
        except InvalidSignature:
            return False
        return True
