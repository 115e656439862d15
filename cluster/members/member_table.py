"""Who belongs to the cluster: of each peer the newest grant, profile and duty (LWW registers)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from cluster.common.hybrid_clock import seconds
from cluster.interfaces import Duty, Member, Role
from cluster.members.record import (
    DUTY,
    GRANT,
    MAX_RECORD_BYTES,
    MAX_RECORDS,
    PROFILE,
    REMOVED,
    Key,
    MemberRecord,
    SignedMemberRecord,
)

_FRAME = 9  # bytes that a list's entry has around it at most


@dataclass(frozen=True, slots=True)
class Removal:
    """Who took a peer's membership away, and when (seconds since 1970)."""

    peer: str
    by: str
    at: float


class MemberTable:
    """Satisfies the reading half of interfaces.Membership."""

    def __init__(
        self, trusted: Iterable[str], records: Iterable[SignedMemberRecord], used: Mapping[bytes, str]
    ) -> None:
        """`trusted` are so until a record says otherwise. `used`: who used which invitation here."""
        self._trusted = frozenset(trusted)
        self._records: dict[Key, SignedMemberRecord] = {signed.record.key: signed for signed in records}
        self._used = dict(used)
        self._listed: tuple[Member, ...] | None = None  # until a record changes
        self._digest: bytes | None = None

    def members(self) -> tuple[Member, ...]:
        if self._listed is None:
            granted = {peer for kind, peer in self._records if kind == GRANT}
            roles = {peer: self.role(peer) for peer in sorted(granted | self._trusted)}
            self._listed = tuple(self._member(peer, role) for peer, role in roles.items() if role is not None)
        return self._listed

    def peers(self) -> frozenset[str]:
        return frozenset(member.peer for member in self.members())

    def role(self, peer: str) -> Role | None:
        found = self._records.get((GRANT, peer))
        if found is None:
            return Role.TRUSTED if peer in self._trusted else None
        return None if found.record.role == REMOVED else Role(found.record.role)

    def is_trusted(self, peer: str) -> bool:
        return self.role(peer) is Role.TRUSTED

    def is_member(self, peer: str) -> bool:
        return self.role(peer) is not None

    def removed(self) -> frozenset[str]:
        return frozenset(
            peer
            for (kind, peer), one in self._records.items()
            if kind == GRANT and one.record.role == REMOVED
        )

    def duty(self, peer: str) -> Duty:
        """One that was said before the newest grant is over: who comes back begins afresh."""
        found, granted = self.record(DUTY, peer), self.record(GRANT, peer)
        if found is None or not self.is_member(peer) or (granted and granted.stamp > found.stamp):
            return Duty.OPEN
        return Duty(found.role)

    def drained(self) -> frozenset[str]:
        return frozenset(peer for kind, peer in self._records if kind == DUTY and self.duty(peer).is_drained)

    def removal(self, peer: str) -> Removal | None:
        """How that peer ceased to be a member; None for members, and for peers that never were."""
        found = self._records.get((GRANT, peer))
        if found is None or found.record.role != REMOVED:
            return None
        return Removal(peer, found.record.signer, seconds(found.record.stamp))

    def name(self, peer: str) -> str:
        found = self._records.get((PROFILE, peer))
        return found.record.name if found else ""

    def record(self, kind: str, peer: str) -> MemberRecord | None:
        """The newest of that kind about that peer."""
        found = self._records.get((kind, peer))
        return found.record if found else None

    def invited_with(self, invite: bytes) -> str | None:
        """Which peer joined with the invitation of that id, though it may have another grant by now."""
        listed = (one.record.peer for one in self._records.values() if one.record.invite == invite)
        return self._used.get(invite) or next(listed, None)

    def records(self, most: int = MAX_RECORDS * MAX_RECORD_BYTES) -> list[bytes]:
        """Envelopes: grants first, which make profiles count; what goes beyond `most` bytes is left out."""
        ordered = [self._records[key].envelope for key in sorted(self._records)]
        ends = accumulate(len(envelope) + _FRAME for envelope in ordered)
        return [envelope for envelope, end in zip(ordered, ends, strict=True) if end <= most]

    def records_of(self, peer: str, *kinds: str) -> list[bytes]:
        """Envelopes about one peer."""
        return [self._records[kind, peer].envelope for kind in kinds if (kind, peer) in self._records]

    def digest(self) -> bytes:
        """32 bytes, equal on two members exactly when they hold the same records."""
        if self._digest is None:
            hashes = sorted(hashlib.sha256(envelope).digest() for envelope in self.records())
            self._digest = hashlib.sha256(b"".join(hashes)).digest()
        return self._digest

    def is_news(self, record: MemberRecord) -> bool:
        """Whether it would change the table, which takes MAX_RECORDS at most."""
        old = self._records.get(record.key)
        return old.record.rank < record.rank if old else len(self._records) < MAX_RECORDS

    def may_keep(self, record: MemberRecord, vouched: bool) -> bool:
        """Profiles and duties are of members, or of those that were; the rest is a trusted member's."""
        if vouched:
            known = self.is_member(record.peer) or self.removal(record.peer) is not None
            return record.kind == GRANT or known
        if record.kind == PROFILE:
            return self.is_member(record.peer)
        leaves = record.signer == record.peer and record.role == REMOVED and self.is_member(record.peer)
        return leaves or self.is_trusted(record.signer)

    def take(self, signed: SignedMemberRecord) -> None:
        """In place of the one of its kind about that peer."""
        self._records[signed.record.key] = signed
        self._listed = self._digest = None

    def use(self, invite: bytes, peer: str) -> None:
        """That peer was let in here with that invitation."""
        self._used.setdefault(invite, peer)

    def _member(self, peer: str, role: Role) -> Member:
        profile = self.record(PROFILE, peer)
        if profile is None:
            return Member(peer, "", role)
        return Member(peer, profile.name, role, profile.addresses, profile.bulk)
