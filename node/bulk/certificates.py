"""Certificates of members: of their own Ed25519 keys, signed by an authority that the cluster's secret gives.

So a handshake proves both: that the other end has the secret, and which peer it is. Every member can sign for
any key; who is a member is decided by the member list, after the handshake.
"""

from __future__ import annotations

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from node.datadir.identity import Identity, peer_id_of

LIFETIME = dt.timedelta(days=30)
_EARLIER = dt.timedelta(days=2)  # clocks of members may differ by that
_FROM, _UNTIL = dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.datetime(2120, 1, 1, tzinfo=dt.UTC)
_INFO = b"pinfold bulk authority 1"


class BadCertificate(ValueError):
    """A certificate that names no peer."""


class Authority:
    """The authority of one cluster: every member derives the same one."""

    def __init__(self, secret: bytes, cluster_id: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(
            HKDF(hashes.SHA256(), 32, cluster_id, _INFO).derive(secret)
        )
        self._name = _name("pinfold cluster")

    def certificate(self) -> bytes:
        """Its own, as PEM: what certificates of members are verified against."""
        public = self._key.public_key()
        builder = _builder(self._name, self._name, public, public, _FROM, _UNTIL)
        builder = builder.add_extension(x509.BasicConstraints(True, 0), critical=True)
        builder = builder.add_extension(_usage(signs=True), critical=True)
        return builder.sign(self._key, None).public_bytes(Encoding.PEM)

    def certify(self, identity: Identity, now: dt.datetime) -> bytes:
        """Key and certificate of this node, as PEM; good from two days before `now` for LIFETIME."""
        key = Ed25519PrivateKey.from_private_bytes(identity.seed)
        builder = _builder(
            _name(identity.peer_id),
            self._name,
            key.public_key(),
            self._key.public_key(),
            now - _EARLIER,
            now + LIFETIME,
        )
        builder = builder.add_extension(x509.BasicConstraints(False, None), critical=True)
        builder = builder.add_extension(_usage(signs=False), critical=True)
        signed = builder.sign(self._key, None).public_bytes(Encoding.PEM)
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + signed


def peer_of(certificate: bytes | None) -> str:
    """The peer whose key that certificate (DER) is of, whatever name it has. Raises BadCertificate."""
    try:
        key = x509.load_der_x509_certificate(certificate or b"").public_key()
    except ValueError as error:
        raise BadCertificate(f"no certificate: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise BadCertificate("a certificate whose key is not of Ed25519")
    return peer_id_of(key.public_bytes_raw())


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: Ed25519PublicKey,
    by: Ed25519PublicKey,
    begin: dt.datetime,
    end: dt.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
