"""A join token: everything a new machine needs to become a member, in one string.

It carries the cluster's secret, so a peer that holds it can connect. The grant inside is good at the member
that made it, ends at a time, and serves one peer. Its bytes are short, so that the token can be read out,
typed or shown as a QR code: a QR code of more than about 350 characters does not fit a terminal.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random, SystemRandom

from cluster.common import cross_check, peer_id, wire
from cluster.common.address import Address
from cluster.common.genesis import Genesis
from cluster.errors import BadAddress, BadInvite, BadUpdate
from cluster.interfaces import Role
from cluster.members.invite_grant import MAX_GRANT, InviteGrant, make_grant
from cluster.ports import Signer

PREFIX = "pinfold"
VERSION = "1"
SECRET_BYTES = 32
LIFETIME = 24 * 3600.0  # seconds
MAX_LIFETIME = 366 * 24 * 3600  # seconds
MAX_LENGTH = 350
"""Characters; addresses beyond the first are left out where they would make it longer."""

_CHECKSUM_BYTES = 6
_MAX_TOKEN = 16 * 1024
_MAX_ADDRESSES = 64  # read of one token; older versions named all they had
_SHORT = {
    "genesis": "c",
    "secret": "s",
    "addresses": "a",
    "grant": "g",
}  # keys of a token that would be too long
_CHANCE = SystemRandom()
_BY = "b"  # the inviter's public key, where no address names it and it is not the founder


@dataclass(frozen=True, slots=True)
class Invite:
    """What a token says. `secret` is the private network's key; `trusted` are peers to believe at first."""

    genesis: Genesis
    secret: bytes
    addresses: tuple[str, ...]
    trusted: tuple[str, ...]
    grant: InviteGrant

    @classmethod
    def parse(cls, text: str, read: wire.Reader = cross_check.decode) -> Invite:
        """`read`: how strictly; a token of our own needs less. Raises BadInvite, which says what to do."""
        body = _body("".join(text.split()))
        try:
            fields = wire.Fields(read(body, _MAX_TOKEN))
            genesis = Genesis.decode(fields.data(_key(fields, "genesis"), 4096), read)
            addresses = _whole(fields, genesis)
            named = {Address.parse(address).peer or "" for address in addresses}
            invite = cls(
                genesis=genesis,
                secret=fields.data(_key(fields, "secret"), SECRET_BYTES),
                addresses=addresses,
                trusted=fields.texts("trusted", _MAX_ADDRESSES) or tuple(sorted(named)),
                grant=InviteGrant.decode(fields.data(_key(fields, "grant"), MAX_GRANT)),
            )
        except (BadUpdate, BadAddress) as error:
            raise BadInvite(f"this join token cannot be read: {error}; make a new one") from None
        if len(invite.secret) != SECRET_BYTES or not invite.addresses:
            raise BadInvite("this join token holds no secret or no address to join at; make a new one")
        return invite

    def __str__(self) -> str:
        """The token: the first address with its peer; without, and in short keys, where that is too long."""
        places = [*map(_place, self.addresses)]
        fields = {
            "genesis": bytes(self.genesis),
            "secret": self.secret,
            "addresses": [*self.addresses[:1], *places[1:]],
            "grant": self.grant.envelope,
        }
        text = _token(fields)
        if len(text) <= MAX_LENGTH or len(self.trusted) != 1:
            return text
        short = {_SHORT[key]: value for key, value in (fields | {"addresses": places}).items()}
        inviter = self.trusted[0]
        return _token(short if inviter == self.genesis.founder else short | {_BY: peer_id.key_of(inviter)})


def _token(fields: Mapping[str, object]) -> str:
    body = wire.encode(fields)
    text = base64.urlsafe_b64encode(body + _checksum(body)).decode().rstrip("=")
    return f"{PREFIX}{VERSION}{text}"


def make_invite(
    genesis: Genesis,
    signer: Signer,
    secret: bytes,
    addresses: Sequence[str],
    role: Role,
    expires: float,
    chance: Random = _CHANCE,
) -> Invite:
    """An invitation by this node, a trusted member, to join at those of the addresses that fit in.

    Its number is drawn by `chance`. Raises BadInvite for a secret of wrong size, or an address that is none.
    """
    if len(secret) != SECRET_BYTES:
        raise BadInvite(f"the cluster's secret has {len(secret)} bytes, not {SECRET_BYTES}")
    us = signer.peer_id
    try:
        whole = [str(replace(Address.parse(_place(address)), peer=us)) for address in addresses]
    except BadAddress as error:
        raise BadInvite(f"no machine could join at {error}: mend the setting cluster.announce") from None
    best = tuple(sorted(dict.fromkeys(whole), key=_rank))
    invite = Invite(genesis, secret, best, (us,), make_grant(genesis, signer, role, expires, chance))
    while len(invite.addresses) > 1 and len(str(invite)) > MAX_LENGTH:
        invite = replace(invite, addresses=invite.addresses[:-1])
    return invite


def _whole(fields: wire.Fields, genesis: Genesis) -> tuple[str, ...]:
    """The addresses with their peer: the one that the first names, or the token, or else the founder."""
    addresses = [Address.parse(text) for text in fields.texts(_key(fields, "addresses"), _MAX_ADDRESSES)]
    first = addresses[0].peer if addresses else None
    key = fields.data(_BY, 32, b"")
    inviter = first or (peer_id.of_key(key) if len(key) == 32 else genesis.founder)
    return tuple(str(replace(address, peer=address.peer or inviter)) for address in addresses)


def _key(fields: wire.Fields, name: str) -> str:
    """How this token writes that key."""
    return name if name in fields else _SHORT[name]


def _place(address: str) -> str:
    return address.partition("/p2p/")[0]


def _rank(address: str) -> int:
    """Where most machines can join comes first; the order of equals stays."""
    parsed = Address.parse(address)
    if parsed.kind not in ("ip4", "ip6"):
        return 0
    ip = ipaddress.ip_address(parsed.host)
    return 1 if ip.is_global else 3 if ip.is_loopback else 2


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
