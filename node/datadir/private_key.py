"""Private keys of names, in the two forms that Kubo reads and writes.

`libp2p-protobuf-cleartext` is libp2p's `PrivateKey` message (libp2p specs: peer-ids, "Keys"), with an RSA key
as PKCS #1; `pem-pkcs8-cleartext` is PEM of PKCS #8, as OpenSSL has it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from blockstore.common import protobuf
from node.errors import NodeError

RSA_BITS = range(2048, 8193)  # go-libp2p's bounds
MAX_BYTES = 16 * 1024
_RSA, _ED25519 = 0, 1
_EXPONENT = 65537
_INLINED = 42  # bytes of a public key that a name holds itself; of a longer one it has the sha2-256


class KeyFormat(StrEnum):
    """By Kubo's names."""

    PROTOBUF = "libp2p-protobuf-cleartext"
    PEM = "pem-pkcs8-cleartext"


class BadKey(NodeError, ValueError):
    """Bytes that are no private key which names may have; says why, and nothing of what they hold."""


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """An Ed25519 or RSA key. Its text never shows the secret."""

    secret: Ed25519PrivateKey | rsa.RSAPrivateKey = field(repr=False)

    @classmethod
    def generate(cls, rsa_bits: int = 0) -> PrivateKey:
        """Ed25519, or RSA of so many bits, which takes seconds. Raises BadKey for a size outside RSA_BITS."""
        if not rsa_bits:
            return cls(Ed25519PrivateKey.generate())
        if rsa_bits not in RSA_BITS:
            raise BadKey(f"an RSA key has {RSA_BITS[0]} to {RSA_BITS[-1]} bits, not {rsa_bits}")
        return cls(rsa.generate_private_key(_EXPONENT, rsa_bits))

    @classmethod
    def from_seed(cls, seed: bytes) -> PrivateKey:
        """The Ed25519 key of these 32 bytes."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def decode(cls, data: bytes, form: KeyFormat) -> PrivateKey:
        """Raises BadKey."""
        if len(data) > MAX_BYTES:
            raise BadKey(f"a key of more than {MAX_BYTES} bytes")
        try:
            return cls(_of_pem(data) if form is KeyFormat.PEM else _of_protobuf(data))
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise BadKey(f"no private key in the form {form.value}: {error}") from None

    def encode(self, form: KeyFormat) -> bytes:
        """The secret, in clear text."""
        if form is KeyFormat.PEM:
            return self.secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        if isinstance(self.secret, Ed25519PrivateKey):
            return _message(_ED25519, self.secret.private_bytes_raw() + self._public_bytes())
        der = self.secret.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        return _message(_RSA, der)

    def sign(self, data: bytes) -> bytes:
        """Ed25519, or PKCS #1 v1.5 over sha2-256."""
        if isinstance(self.secret, Ed25519PrivateKey):
            return self.secret.sign(data)
        return self.secret.sign(data, padding.PKCS1v15(), SHA256())

    @property
    def public(self) -> bytes:
        """libp2p's `PublicKey` message."""
        kind = _ED25519 if isinstance(self.secret, Ed25519PrivateKey) else _RSA
        return _message(kind, self._public_bytes())

    @property
    def multihash(self) -> bytes:
        """What names the key: its public half itself, or the sha2-256 of that where it is long."""
        public = self.public
        if len(public) <= _INLINED:
            return bytes((0x00, len(public))) + public
        return b"\x12\x20" + hashlib.sha256(public).digest()

    def _public_bytes(self) -> bytes:
        public = self.secret.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return public.public_bytes_raw()


def _message(kind: int, key: bytes) -> bytes:
    return protobuf.field(1, kind) + protobuf.field(2, key)


def _of_protobuf(data: bytes) -> Ed25519PrivateKey | rsa.RSAPrivateKey:
    parts = dict(protobuf.values(data))
    kind, key = parts.get(1, _RSA), parts.get(2, b"")
    if not isinstance(key, bytes):
        raise ValueError("its key is no bytes")
    if kind == _ED25519:
        return _of_raw(key)
    if kind != _RSA:
        raise ValueError("names have Ed25519 or RSA keys here, and this one is of another type")
    return _usable(load_der_private_key(key, None))


def _of_raw(key: bytes) -> Ed25519PrivateKey:
    """Seed and public half, which old programs wrote twice."""
    secret = Ed25519PrivateKey.from_private_bytes(key[:32])
    if key[32:] not in (public := secret.public_key().public_bytes_raw(), public * 2):
        raise ValueError("the public half does not belong to the private one: the key is damaged")
    return secret


def _of_pem(data: bytes) -> Ed25519PrivateKey | rsa.RSAPrivateKey:
    if b"-----BEGIN PRIVATE KEY-----" not in data:
        raise ValueError('it does not begin with "-----BEGIN PRIVATE KEY-----"')
    return _usable(load_pem_private_key(data, None))


def _usable(key: object) -> Ed25519PrivateKey | rsa.RSAPrivateKey:
    if isinstance(key, Ed25519PrivateKey):
        return key
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("names have Ed25519 or RSA keys here, and this one is of another type")
    if key.key_size not in RSA_BITS:
        raise ValueError(f"an RSA key has {RSA_BITS[0]} to {RSA_BITS[-1]} bits, not {key.key_size}")
    return key
