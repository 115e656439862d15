"""The grant inside of a join token: the inviter's promise, proved by a code (HMAC) that only it can make."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from cluster.common import cross_check, wire
from cluster.common.envelope import open_sealed
from cluster.common.genesis import Genesis
from cluster.errors import BadUpdate
from cluster.interfaces import Role
from cluster.ports import Signer

MAX_GRANT = 2048  # bytes
_DOMAIN = b"pinfold invite 1\0"
_MAC_DOMAIN = b"pinfold invite 2\0"
_ROLES = {0x10: Role.TRUSTED, 0x11: Role.FOLLOWER}  # first byte; an older grant is a map (0xa0 and up)
_MARK_BYTES, _MAC_BYTES = 9, 16  # role, end, number; what proves them


@dataclass(frozen=True, slots=True)
class InviteGrant:
    """A peer that shows it may join as `role`, until `expires` (seconds since 1970), once.

    Proved by a code that only the inviter can make. One of the first version names the inviter, which signed.
    """

    id: bytes
    role: Role
    expires: float
    envelope: bytes  # as it is shown
    inviter: str = ""

    @classmethod
    def decode(cls, envelope: bytes) -> InviteGrant:
        """What proves it is not checked. Raises BadUpdate."""
        role = _ROLES.get(envelope[0] if envelope else 0)
        if role is None:
            return cls._signed(envelope)
        if len(envelope) != _MARK_BYTES + _MAC_BYTES:
            raise BadUpdate("a grant of another length")
        return cls(envelope[:_MARK_BYTES], role, float(int.from_bytes(envelope[1:5])), envelope)

    @classmethod
    def _signed(cls, envelope: bytes) -> InviteGrant:
        sealed = open_sealed(envelope, MAX_GRANT, cross_check.decode)
        fields = wire.Fields(cross_check.decode(sealed.payload, MAX_GRANT))
        try:
            role = Role(fields.text("role", limit=16))
        except ValueError as error:
            raise BadUpdate(str(error)) from None
        inviter = fields.text("by", limit=128)
        return cls(fields.data("id", 32), role, fields.number("expires"), envelope, inviter)

    def is_valid(self, cluster_id: bytes, us: Signer, is_trusted: Callable[[str], bool]) -> bool:
        """Whether we made it; or, of one that is signed, whether a trusted member did."""
        if not self.inviter:
            return hmac.compare_digest(self.envelope[_MARK_BYTES:], _code(self.id, cluster_id, us))
        sealed = open_sealed(self.envelope, MAX_GRANT)
        return is_trusted(self.inviter) and sealed.is_by(self.inviter, _DOMAIN, cluster_id, us)


def make_grant(genesis: Genesis, signer: Signer, role: Role, expires: float, chance: Random) -> InviteGrant:
    kind = next(kind for kind, one in _ROLES.items() if one is role)
    end = min(max(int(expires), 0), (1 << 32) - 1)
    mark = bytes([kind]) + end.to_bytes(4) + chance.randbytes(_MARK_BYTES - 5)
    return InviteGrant.decode(mark + _code(mark, genesis.cluster_id, signer))


def _code(mark: bytes, cluster_id: bytes, signer: Signer) -> bytes:
    """An Ed25519 signature is always the same: one that is never shown is a key."""
    key = hashlib.sha256(signer.sign(_MAC_DOMAIN + cluster_id)).digest()
    return hmac.digest(key, mark, "sha256")[:_MAC_BYTES]
