"""Who belongs to the cluster: signed records, one *grant* and one *profile* a peer, the newest of each.

A grant gives a role or takes it away and is signed by a trusted member; a profile is what a member says of
itself. Records spread like batches: at once by gossip, surely by catching up. One signed by somebody who is
not trusted (any more) is accepted only from a trusted member, who vouches that it was in time; so all members
agree in the end, whatever order a removal and the removed member's last words came in.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from cluster.common.address import dialled_at
from cluster.common.cooperative import Slices, TimeSlice
from cluster.common.genesis import Genesis
from cluster.common.hybrid_clock import HybridClock, seconds
from cluster.common.names import as_name
from cluster.errors import BadUpdate, CannotRemove, ReadOnlyMember, UntrustedPeer
from cluster.interfaces import Member, Role
from cluster.members.record import (
    GRANT,
    MAX_RECORD_BYTES,
    MAX_RECORDS,
    PROFILE,
    REMOVED,
    Key,
    MemberRecord,
    SignedMemberRecord,
    sign_record,
)
from cluster.members.record_order import RecordOrder
from cluster.pinset.store import PinsetStore
from cluster.ports import Signer

_FRAME = 9  # bytes that a list's entry has around it at most
_logger = logging.getLogger(__name__)

PROFILE_SPACING = 5.0
"""Seconds between two profiles of one member that are taken unvouched; a later one comes by catching up."""


@dataclass(frozen=True, slots=True)
class Removal:
    """Who took a peer's membership away, and when (seconds since 1970)."""

    peer: str
    by: str
    at: float


class MemberList:
    """The member list (state.Membership), durable and replicated. Our own changes return when durable."""

    def __init__(
        self,
        store: PinsetStore,
        genesis: Genesis,
        signer: Signer,
        clock: HybridClock,
        trusted: Iterable[str],
        stored: Iterable[SignedMemberRecord],
        used: dict[bytes, str],
        slices: Slices = TimeSlice,
    ) -> None:
        """`trusted` count as trusted until a record says otherwise; the founder always does.

        `used`: who used which invitation here.
        """
        self._store = store
        self._genesis = genesis
        self._signer = signer
        self._clock = clock
        self._trusted = {genesis.founder, *trusted}
        self._records: dict[Key, SignedMemberRecord] = {signed.record.key: signed for signed in stored}
        self._used = used
        self._slices = slices
        self._handlers: list[Callable[[Sequence[bytes]], None]] = []
        self._turn = asyncio.Lock()
        self._heard: dict[str, float] = {}  # when a member's own profile was last taken
        self._listed: tuple[Member, ...] | None = None  # until a record changes
        self._digest: bytes | None = None
        self.refused = 0
        """Records that did not parse or were forged, since this node opened its pinset."""

    def members(self) -> tuple[Member, ...]:
        if self._listed is None:
            granted = {peer for kind, peer in self._records if kind == GRANT}
            roles = {peer: self.role(peer) for peer in sorted(granted | self._trusted)}
            self._listed = tuple(self._member(peer, role) for peer, role in roles.items() if role is not None)
        return self._listed

    def peers(self) -> frozenset[str]:
        return frozenset(member.peer for member in self.members())

    def role(self, peer: str) -> Role | None:
        """None for whoever is no member (any more)."""
        found = self._records.get((GRANT, peer))
        if found is None:
            return Role.TRUSTED if peer in self._trusted else None
        return None if found.record.role == REMOVED else Role(found.record.role)

    def is_trusted(self, peer: str) -> bool:
        return self.role(peer) is Role.TRUSTED

    def is_member(self, peer: str) -> bool:
        return self.role(peer) is not None

    def removal(self, peer: str) -> Removal | None:
        """How that peer ceased to be a member; None for members, and for who never was one."""
        found = self._records.get((GRANT, peer))
        if found is None or found.record.role != REMOVED:
            return None
        return Removal(peer, found.record.signer, seconds(found.record.stamp))

    def removed(self) -> frozenset[str]:
        return frozenset(
            peer
            for (kind, peer), one in self._records.items()
            if kind == GRANT and one.record.role == REMOVED
        )

    def name(self, peer: str) -> str:
        """What a peer, member or not (any more), last called itself."""
        found = self._records.get((PROFILE, peer))
        return found.record.name if found else ""

    def invited_with(self, invite: bytes) -> str | None:
        """Who joined with the invitation of that id, though it may have another grant by now."""
        listed = (one.record.peer for one in self._records.values() if one.record.invite == invite)
        return self._used.get(invite) or next(listed, None)

    def on_records(self, handler: Callable[[Sequence[bytes]], None]) -> None:
        """Hear of new records, anybody's, after they are durable. Must not block, must not raise."""
        self._handlers.append(handler)

    def records(self, most: int = MAX_RECORDS * MAX_RECORD_BYTES) -> list[bytes]:
        """Grants first, without which a profile is nobody's; what goes beyond `most` bytes is left out."""
        ordered = [self._records[key].envelope for key in sorted(self._records)]
        ends = accumulate(len(envelope) + _FRAME for envelope in ordered)
        return [envelope for envelope, end in zip(ordered, ends, strict=True) if end <= most]

    def records_of(self, peer: str, *kinds: str) -> list[bytes]:
        """The records about one peer."""
        return [self._records[kind, peer].envelope for kind in kinds if (kind, peer) in self._records]

    def digest(self) -> bytes:
        """Equal on two members exactly when they hold the same records."""
        if self._digest is None:
            hashes = sorted(hashlib.sha256(envelope).digest() for envelope in self.records())
            self._digest = hashlib.sha256(b"".join(hashes)).digest()
        return self._digest

    async def grant(self, peer: str, role: Role, invite: bytes = b"") -> None:
        """Make that peer a member, or change its role. Raises ReadOnlyMember."""
        await self._issue_grant(peer, role.value, invite)

    async def remove(self, peer: str) -> None:
        """That peer is no member any more; what it pinned stays.

        Raises ReadOnlyMember, UntrustedPeer, CannotRemove.
        """
        if not self.is_member(peer):
            raise UntrustedPeer(f"{peer} is not a member of this cluster")
        self._check_may_change(peer, REMOVED)
        if [member.peer for member in self.members() if member.role is Role.TRUSTED] == [peer]:
            raise CannotRemove(
                f"{peer} is the only trusted member: invite another one first, or nobody could pin any more"
            )
        found = self._records.get((GRANT, peer))
        await self._issue_grant(peer, REMOVED, found.record.invite if found else b"")

    async def announce(self, name: str, addresses: Sequence[str]) -> None:
        """Tell all members our name and addresses; nothing is sent when they know."""
        us = self._signer.peer_id
        wanted = as_name(name), dialled_at(addresses, us)
        old = self._records.get((PROFILE, us))
        if old is None or (old.record.name, old.record.addresses) != wanted:
            stamp = self._newer((PROFILE, us))
            await self._issue(MemberRecord(PROFILE, us, us, stamp, name=wanted[0], addresses=wanted[1]))

    async def accept(self, envelopes: Sequence[bytes], vouched: bool) -> int:
        """Keep what is newer and allowed; `vouched` when a trusted member gave them. How many were new.

        One that does not parse is passed over and counted: who shows it may have it from a version that read
        less closely. A signature is verified only of what would be kept, and each once, so a flood
        costs no more than reading it. Raises BadUpdate at the first that is forged, when those before it are
        kept and the rest is not looked at.
        """
        async with self._turn:
            accepted: list[SignedMemberRecord] = []
            try:
                await self._sort(envelopes, vouched, accepted)
            finally:
                await self._keep(accepted)
            return len(accepted)

    async def _sort(
        self, envelopes: Sequence[bytes], vouched: bool, accepted: list[SignedMemberRecord]
    ) -> None:
        breath = self._slices()
        sorting = RecordOrder()
        odd: list[BadUpdate] = []
        for envelope in envelopes[:MAX_RECORDS]:
            try:
                signed = SignedMemberRecord.read(envelope)
                if self._is_news(signed):
                    sorting.add(signed)
            except BadUpdate as error:
                odd.append(error)
            await breath.take()
        if odd:
            self.refused += len(odd)
            _logger.info("%d of %d member records are passed over: %s", len(odd), len(envelopes), odd[0])
        usable = sorting.all() if vouched else sorting.of_trusted(self.is_trusted)
        for signed in usable:  # one by one: a grant that is kept may make the signer of the next one trusted
            if self._is_news(signed) and self._may_keep(signed.record, vouched):
                self._verify(signed)
                self._take(signed)
                accepted.append(signed)
            await breath.take()

    def _is_news(self, signed: SignedMemberRecord) -> bool:
        old = self._records.get(signed.record.key)
        return old.record.rank < signed.record.rank if old else len(self._records) < MAX_RECORDS

    def _verify(self, signed: SignedMemberRecord) -> None:
        try:
            signed.check_signature(self._genesis.cluster_id, self._signer)
            signed.check_form()
        except BadUpdate:
            self.refused += 1
            raise

    def _may_keep(self, record: MemberRecord, vouched: bool) -> bool:
        """Profiles are of members, or of who was one; changes of the list are a trusted member's."""
        if vouched:
            return (
                record.kind == GRANT or (GRANT, record.peer) in self._records or self.is_member(record.peer)
            )
        if record.kind == PROFILE:
            return self.is_member(record.peer) and self._is_due(record.peer)
        return self.is_trusted(record.signer) or (
            record.signer == record.peer and record.role == REMOVED and self.is_member(record.peer)
        )

    def _is_due(self, peer: str) -> bool:
        """Whether a peer's profile may be taken again: one that always changes would busy every member."""
        return _now() - self._heard.get(peer, -PROFILE_SPACING) >= PROFILE_SPACING

    def _member(self, peer: str, role: Role) -> Member:
        found = self._records.get((PROFILE, peer))
        if found is None:
            return Member(peer, "", role)
        return Member(peer, found.record.name, role, found.record.addresses)

    async def _issue_grant(self, peer: str, role: str, invite: bytes) -> None:
        us = self._signer.peer_id
        self._check_may_change(peer, role)
        await self._issue(MemberRecord(GRANT, peer, us, self._newer((GRANT, peer)), role=role, invite=invite))

    def _check_may_change(self, peer: str, role: str) -> None:
        us = self._signer.peer_id
        if self.is_trusted(us) or (role == REMOVED and peer == us):
            return
        what = "follows the cluster" if self.is_member(us) else "is no member of the cluster"
        raise ReadOnlyMember(f"this node {what}: only trusted members change who belongs to it")

    async def _issue(self, record: MemberRecord) -> None:
        signed = SignedMemberRecord.read(sign_record(record, self._genesis.cluster_id, self._signer))
        async with self._turn:
            self._take(signed)
            await self._keep([signed])

    def _newer(self, key: Key) -> int:
        old = self._records.get(key)
        return self._clock.tick(above=old.record.stamp if old else 0)

    def _take(self, signed: SignedMemberRecord) -> None:
        self._records[signed.record.key] = signed
        self._listed = self._digest = None
        if signed.record.kind == PROFILE:
            self._heard[signed.record.peer] = _now()
        for invite, peer in self._uses(signed.record):
            self._used.setdefault(invite, peer)
        self._clock.observe(signed.record.stamp)

    def _uses(self, record: MemberRecord) -> list[tuple[bytes, str]]:
        """The invitation that we let somebody in with, and whom."""
        ours = record.kind == GRANT and record.signer == self._signer.peer_id and record.invite
        return [(record.invite, record.peer)] if ours else []

    async def _keep(self, records: Sequence[SignedMemberRecord]) -> None:
        if not records:
            return
        await self._store.put_member_records(
            [(signed.record.kind, signed.record.peer, signed.envelope) for signed in records],
            [use for signed in records for use in self._uses(signed.record)],
        )
        for handler in self._handlers:
            handler([signed.envelope for signed in records])


async def open_members(
    store: PinsetStore,
    genesis: Genesis,
    signer: Signer,
    clock: HybridClock,
    trusted: Iterable[str],
    slices: Slices = TimeSlice,
) -> MemberList:
    """The member list as stored. What cannot be read of it is told and let go: other members have it."""
    good: list[SignedMemberRecord] = []
    for kind, peer, envelope in await store.member_records():
        try:
            signed = SignedMemberRecord.read(envelope)
            signed.check_signature(genesis.cluster_id, signer)
            good.append(signed)
        except BadUpdate as error:
            _logger.warning(
                "the stored %s of %r is let go, members that have a good one show it: %s", kind, peer, error
            )
            await _let_go(store, kind, peer)
    return MemberList(store, genesis, signer, clock, trusted, good, await store.used_invites(), slices)


def _now() -> float:
    """Seconds of a clock that never jumps."""
    return asyncio.get_running_loop().time()


async def _let_go(store: PinsetStore, kind: str, peer: str) -> None:
    try:
        await store.remove_member_record(kind, peer)
    except OSError as error:  # no room: it is passed over again at the next start
        _logger.info("it stays in the file: %s", error)
