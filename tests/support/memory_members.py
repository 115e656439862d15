"""A member list in memory."""

from __future__ import annotations

from collections.abc import Sequence

from cluster.errors import CannotRemove, ReadOnlyMember, UntrustedPeer
from cluster.interfaces import Duty, Member, Role


class MemoryMembers:
    """Membership, the same for all members; or as `us` sees it, who may not be allowed to change it."""

    def __init__(self, members: Sequence[Member], us: str | None = None) -> None:
        self._members = {member.peer: member for member in members}
        self._names = {member.peer: member.name for member in members}
        self._removed: set[str] = set()
        self._duties: dict[str, Duty] = {}
        self._us = us

    def members(self) -> tuple[Member, ...]:
        return tuple(self._members[peer] for peer in sorted(self._members))

    def peers(self) -> frozenset[str]:
        return frozenset(self._members)

    def role(self, peer: str) -> Role | None:
        return self._members[peer].role if peer in self._members else None

    def is_trusted(self, peer: str) -> bool:
        return self.role(peer) is Role.TRUSTED

    def is_member(self, peer: str) -> bool:
        return peer in self._members

    def removed(self) -> frozenset[str]:
        return frozenset(self._removed)

    def admit(self, member: Member) -> None:
        """It has joined."""
        self._members[member.peer] = member
        self._names[member.peer] = member.name
        self._removed.discard(member.peer)

    def duty(self, peer: str) -> Duty:
        return self._duties.get(peer, Duty.OPEN)

    def drained(self) -> frozenset[str]:
        return frozenset(peer for peer, duty in self._duties.items() if duty.is_drained)

    async def set_duty(self, peer: str, duty: Duty) -> None:
        if not self.is_member(peer):
            raise UntrustedPeer(f"{peer} is not a member of this cluster")
        if self._us is not None and not self.is_trusted(self._us):
            raise ReadOnlyMember("this node follows the cluster")
        self._duties[peer] = duty

    def name(self, peer: str) -> str:
        return self._names.get(peer, "")

    async def remove(self, peer: str) -> None:
        if not self.is_member(peer):
            raise UntrustedPeer(f"{peer} is not a member of this cluster")
        if self._us not in (None, peer) and not self.is_trusted(self._us or ""):
            raise ReadOnlyMember("this node follows the cluster")
        if [member.peer for member in self._members.values() if member.role is Role.TRUSTED] == [peer]:
            raise CannotRemove(f"{peer} is the only trusted member")
        del self._members[peer]
        self._duties.pop(peer, None)
        self._removed.add(peer)
