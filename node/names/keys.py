"""Public keys of libp2p and the signatures they verify (libp2p specs: peer-ids, "Keys")."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from blockstore.common import protobuf
from node.names.errors import BadRecord

PublicKey = Ed25519PublicKey | rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_RSA, _ED25519, _SECP256K1, _ECDSA = range(4)
_RSA_BITS = range(2048, 8193)  # go-libp2p's bounds
_MAX_BYTES = 4096


def decode(data: bytes) -> PublicKey:
    """A `PublicKey` message: RSA, Ed25519, secp256k1 or ECDSA. Raises BadRecord."""
    if len(data) > _MAX_BYTES:
        raise BadRecord(f"public key of {len(data)} bytes is above {_MAX_BYTES}")
    try:
        parts = dict(protobuf.values(data))
        kind, key = parts.get(1, _RSA), parts[2]
        if not isinstance(kind, int) or not isinstance(key, bytes):
            raise ValueError("its fields have other types")
        return _load(kind, key)
    except (KeyError, ValueError, UnsupportedAlgorithm) as error:
        raise BadRecord(f"the public key cannot be read: {error}") from None


def verifies(key: PublicKey, data: bytes, signature: bytes) -> bool:
    """Whether that key made the signature: PKCS#1 v1.5 or ECDSA in DER over sha2-256, or Ed25519."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, data)
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        else:
            key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _load(kind: int, key: bytes) -> PublicKey:
    if kind == _ED25519:
        return Ed25519PublicKey.from_public_bytes(key)
    if kind == _SECP256K1:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), key)
    if kind not in (_RSA, _ECDSA):
        raise ValueError(f"key type {kind} is unknown")
    loaded = load_der_public_key(key)
    if kind == _ECDSA and isinstance(loaded, ec.EllipticCurvePublicKey):
        return loaded
    if kind == _RSA and isinstance(loaded, rsa.RSAPublicKey) and loaded.key_size in _RSA_BITS:
        return loaded
    raise ValueError("the key is of another type than it says, or too short or too long")
