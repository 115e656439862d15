"""One signed statement about a member: what it says, and what proves it.

Reading comes first and costs little; the signature is verified only of what would be kept. What does not
parse here is not stored, not passed on and not dialled.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.common import cross_check, wire
from cluster.common.address import MAX_ADDRESSES, check_dialable
from cluster.common.envelope import Sealed, open_sealed, seal
from cluster.common.peer_id import check_peer
from cluster.errors import BadAddress, BadUpdate
from cluster.interfaces import Duty, Role
from cluster.ports import Signer

MAX_RECORDS = 4096
MAX_RECORD_BYTES = 8 * 1024
GRANT, PROFILE, DUTY = "grant", "profile", "duty"
REMOVED = "removed"
_DOMAIN = b"pinfold member 1\0"

Key = tuple[str, str]
"""(kind, peer): of these the newest record counts."""


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """A grant (`role`, `invite`), a profile (`name`, `addresses`, `bulk`) or a duty of `peer`, by `signer`.

    A duty is in `role`, like what is granted. `bulk`: where it offers blocks in bulk.
    """

    kind: str
    peer: str
    signer: str
    stamp: int
    role: str = ""
    invite: bytes = b""
    name: str = ""
    addresses: tuple[str, ...] = ()
    bulk: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return self.kind, self.peer

    @property
    def rank(self) -> tuple[int, bool, str]:
        """The highest counts: the newest; of equally new ones a removal, then the higher signer."""
        return self.stamp, self.role == REMOVED, self.signer


@dataclass(frozen=True, slots=True)
class SignedMemberRecord:
    """A record as it travels: its envelope, and what is in that."""

    record: MemberRecord
    envelope: bytes
    sealed: Sealed

    @classmethod
    def read(cls, envelope: bytes) -> SignedMemberRecord:
        """Bounded and checked in every field, its signature not verified. Raises BadUpdate."""
        sealed = open_sealed(envelope, MAX_RECORD_BYTES)
        record = _record(wire.Fields.decode(sealed.payload, MAX_RECORD_BYTES))
        _check_shape(record)
        return cls(record, envelope, sealed)

    def check_form(self) -> None:
        """That an independent reader finds the same in it. Raises BadUpdate."""
        for data in (self.envelope, self.sealed.payload):
            cross_check.decode(data, MAX_RECORD_BYTES)

    def check_signature(self, cluster_id: bytes, signer: Signer) -> None:
        """Raises BadUpdate unless it was signed, for this cluster, by the peer that it names."""
        self.sealed.verify(self.record.signer, _DOMAIN, cluster_id, signer)


def sign_record(record: MemberRecord, cluster_id: bytes, signer: Signer) -> bytes:
    """The envelope of a record."""
    offered = {"bulk": list(record.bulk)} if record.bulk else {}  # of a release before: the same bytes
    payload = wire.encode(
        {
            "kind": record.kind,
            "peer": record.peer,
            "by": record.signer,
            "stamp": record.stamp,
            "role": record.role,
            "invite": record.invite,
            "name": record.name,
            "at": list(record.addresses),
            **offered,
        }
    )
    return seal(payload, _DOMAIN, cluster_id, signer)


def _record(fields: wire.Fields) -> MemberRecord:
    return MemberRecord(
        kind=fields.text("kind", limit=16),
        peer=fields.text("peer", limit=128),
        signer=fields.text("by", limit=128),
        stamp=fields.integer("stamp"),
        role=fields.text("role", limit=16),
        invite=fields.data("invite", 32),
        name=fields.name("name"),
        addresses=fields.texts("at", MAX_ADDRESSES),
        bulk=fields.texts("bulk", MAX_ADDRESSES),
    )


def _check_shape(record: MemberRecord) -> None:
    if record.kind == PROFILE and record.signer != record.peer:
        raise BadUpdate("a profile that another peer wrote")
    if record.kind == GRANT and record.role not in (REMOVED, *Role):
        raise BadUpdate(f"unknown role {record.role!r}")
    if record.kind == GRANT and record.signer == record.peer and record.role == Role.TRUSTED:
        raise BadUpdate("a peer that trusts itself")
    if record.kind == DUTY and record.role not in (*Duty,):
        raise BadUpdate(f"unknown duty {record.role!r}")
    if record.kind not in (GRANT, PROFILE, DUTY):
        raise BadUpdate(f"unknown kind of record {record.kind!r}")
    try:
        check_peer(record.peer)
        check_dialable(record.addresses, record.peer)
        check_dialable(record.bulk, record.peer)
    except BadAddress as error:
        raise BadUpdate(f"a {record.kind} of {record.peer!r}: {error}") from None
