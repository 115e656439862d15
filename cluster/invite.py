"""A join token: everything a new machine needs to become a member, in one string.

It carries the cluster's secret, so whoever holds it can connect; the grant inside is signed by the member
that made it, ends at a time, and serves one peer.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from cluster import wire
from cluster.errors import BadInvite, BadUpdate
from cluster.genesis import Genesis
from cluster.ports import Signer
from cluster.state import Role

PREFIX = "pinfold"
VERSION = "1"
SECRET_BYTES = 32
LIFETIME = 24 * 3600.0  # seconds
_CHECKSUM_BYTES = 6
_MAX_TOKEN = 16 * 1024
_DOMAIN = b"pinfold invite 1\0"


@dataclass(frozen=True, slots=True)
class Grant:
    """The inviter's promise: who shows it may join as `role`, until `expires` (seconds since 1970), once."""

    id: bytes
    role: Role
    expires: float
    inviter: str
    envelope: bytes  # the signed form, as it is shown

    @classmethod
    def decode(cls, envelope: bytes) -> Grant:
        """Its signature not checked. Raises BadUpdate."""
        fields = wire.Fields.decode(wire.Fields.decode(envelope, 2048).data("p", 2048), 2048)
        try:
            role = Role(fields.text("role", limit=16))
        except ValueError as error:
            raise BadUpdate(str(error)) from None
        return cls(
            fields.data("id", 32), role, fields.number("expires"), fields.text("by", limit=128), envelope
        )

    def is_signed(self, cluster_id: bytes, signer: Signer) -> bool:
        fields = wire.Fields.decode(self.envelope, 2048)
        return signer.verify(
            self.inviter, _DOMAIN + cluster_id + fields.data("p", 2048), fields.data("s", 128)
        )


def make_grant(genesis: Genesis, signer: Signer, role: Role, expires: float) -> Grant:
    payload = wire.encode(
        {"id": secrets.token_bytes(16), "role": role.value, "expires": float(expires), "by": signer.peer_id}
    )
    signature = signer.sign(_DOMAIN + genesis.cluster_id + payload)
    return Grant.decode(wire.encode({"p": payload, "s": signature}))


@dataclass(frozen=True, slots=True)
class Invite:
    """What a token says. `secret` is the private network's key; `trusted` are peers to believe at first."""

    genesis: Genesis
    secret: bytes
    addresses: tuple[str, ...]
    trusted: tuple[str, ...]
    grant: Grant

    @classmethod
    def parse(cls, text: str) -> Invite:
        """Raises BadInvite with what is wrong and what to do."""
        body = _body("".join(text.split()))
        try:
            fields = wire.Fields.decode(body, _MAX_TOKEN)
            invite = cls(
                genesis=Genesis.decode(fields.data("genesis", 4096)),
                secret=fields.data("secret", SECRET_BYTES),
                addresses=fields.texts("addresses", 64),
                trusted=fields.texts("trusted", 64),
                grant=Grant.decode(fields.data("grant", 2048)),
            )
        except BadUpdate as error:
            raise BadInvite(f"this join token cannot be read: {error}; make a new one") from None
        if len(invite.secret) != SECRET_BYTES or not invite.addresses:
            raise BadInvite("this join token holds no secret or no address to join at; make a new one")
        return invite

    def __str__(self) -> str:
        """The token."""
        body = wire.encode(
            {
                "genesis": bytes(self.genesis),
                "secret": self.secret,
                "addresses": list(self.addresses),
                "trusted": list(self.trusted),
                "grant": self.grant.envelope,
            }
        )
        text = base64.urlsafe_b64encode(body + _checksum(body)).decode().rstrip("=")
        return f"{PREFIX}{VERSION}{text}"


def make_invite(
    genesis: Genesis, signer: Signer, secret: bytes, addresses: Sequence[str], role: Role, expires: float
) -> Invite:
    """An invitation signed by this node, a trusted member. Raises BadInvite for a secret of wrong size."""
    if len(secret) != SECRET_BYTES:
        raise BadInvite(f"the cluster's secret has {len(secret)} bytes, not {SECRET_BYTES}")
    grant = make_grant(genesis, signer, role, expires)
    return Invite(genesis, secret, tuple(addresses), (signer.peer_id,), grant)


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(b"pinfold token\0" + body).digest()[:_CHECKSUM_BYTES]


def _body(text: str) -> bytes:
    if not text.startswith(PREFIX) or len(text) > _MAX_TOKEN:
        raise BadInvite(
            f'no join token: one starts with "{PREFIX}" and is printed by `pinfold cluster invite`'
        )
    version, encoded = text[len(PREFIX) : len(PREFIX) + 1], text[len(PREFIX) + 1 :]
    if version != VERSION:
        raise BadInvite(f'this join token is of version "{version}", this program reads {VERSION}: update it')
    try:
        data = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadInvite("this join token is damaged: copy it again, whole") from None
    body, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if checksum != _checksum(body):
        raise BadInvite("this join token is damaged: copy it again, whole")
    return body
