"""The member list of a cluster: signed records, durable here and replicated to every member.

A *grant* gives a role or takes it away, a *duty* has a member drained: both are signed by a trusted member. A
*profile* is what a member says of itself. Records spread like batches: at once by gossip, surely by catching
up. One signed by a peer that is not trusted (any more) is accepted only from a trusted member, who vouches
that it was in time; so all members agree in the end, whatever order a removal and the removed member's last
words came in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from cluster.common.address import dialable
from cluster.common.local_member import LocalMember
from cluster.common.names import as_name
from cluster.errors import BadUpdate, CannotRemove, ReadOnlyMember, UntrustedPeer
from cluster.interfaces import Duty, Role
from cluster.members.member_table import MemberTable
from cluster.members.record import (
    DUTY,
    GRANT,
    MAX_RECORDS,
    PROFILE,
    REMOVED,
    MemberRecord,
    SignedMemberRecord,
    sign_record,
)
from cluster.members.record_order import RecordOrder
from cluster.members.record_store import MemberRecordStore

PROFILE_SPACING = 5.0
"""Seconds between two profiles of one member that are taken unvouched; a later one comes by catching up."""

_log = logging.getLogger(__name__)


class MemberList(MemberTable):
    """The Membership of a node. Its own changes return when they are durable."""

    def __init__(
        self,
        local: LocalMember,
        store: MemberRecordStore,
        trusted: Iterable[str],
        stored: Iterable[SignedMemberRecord],
        used: Mapping[bytes, str],
    ) -> None:
        """The founder is trusted until a record says otherwise, as `trusted` are."""
        super().__init__({local.genesis.founder, *trusted}, stored, used)
        self._local = local
        self._store = store
        self._handlers: list[Callable[[Sequence[bytes]], None]] = []
        self._lock = asyncio.Lock()
        self._taken: dict[str, float] = {}  # when a member's own profile was last taken
        self.refused = 0
        """Records that did not parse or were forged, since this node opened its pinset."""

    def on_records(self, handler: Callable[[Sequence[bytes]], None]) -> None:
        """Hear of new records after they are durable. Must not block, must not raise."""
        self._handlers.append(handler)

    async def grant(self, peer: str, role: Role, invite: bytes = b"") -> None:
        """Make that peer a member, or change its role. Raises ReadOnlyMember."""
        await self._issue_grant(peer, role.value, invite)

    async def remove(self, peer: str) -> None:
        """See interfaces.Membership. Raises ReadOnlyMember, UntrustedPeer, CannotRemove."""
        if not self.is_member(peer):
            raise UntrustedPeer(f"{peer} is not a member of this cluster")
        self._check_may_change(peer, REMOVED)
        if [member.peer for member in self.members() if member.role is Role.TRUSTED] == [peer]:
            raise CannotRemove(
                f"{peer} is the only trusted member: invite another one first, or nobody could pin any more"
            )
        found = self.record(GRANT, peer)
        await self._issue_grant(peer, REMOVED, found.invite if found else b"")

    async def set_duty(self, peer: str, duty: Duty) -> None:
        """See interfaces.Membership. Raises ReadOnlyMember, UntrustedPeer."""
        if not self.is_member(peer):
            raise UntrustedPeer(f"{peer} is not a member of this cluster")
        self._check_may_change(peer, duty)
        if self.duty(peer) is not duty:
            stamp = self._next_stamp(self.record(DUTY, peer), self.record(GRANT, peer))
            await self._issue(MemberRecord(DUTY, peer, self._local.peer, stamp, role=duty.value))

    async def announce(self, name: str, addresses: Sequence[str], bulk: Sequence[str] = ()) -> None:
        """Have all members know our name and addresses, those for bulk too; nothing is sent when they do."""
        us = self._local.peer
        wanted = as_name(name), dialable(addresses, us), dialable(bulk, us)
        old = self.record(PROFILE, us)
        if old is None or (old.name, old.addresses, old.bulk) != wanted:
            known, at, offered = wanted
            stamp = self._next_stamp(old)
            await self._issue(MemberRecord(PROFILE, us, us, stamp, name=known, addresses=at, bulk=offered))

    async def accept(self, envelopes: Sequence[bytes], vouched: bool) -> int:
        """Keep what is newer and allowed; `vouched` when a trusted member gave them. How many were new.

        One that does not parse is passed over and counted: who shows it may have it from a version that read
        less closely. A signature is verified only of what would be kept, and each once, so a flood
        costs no more than reading it. Raises BadUpdate at the first that is forged, when those before it are
        kept and the rest is not looked at.
        """
        async with self._lock:
            accepted: list[SignedMemberRecord] = []
            try:
                await self._accept(await self._read(envelopes), vouched, accepted)
            finally:
                await self._keep(accepted)
            return len(accepted)

    async def _read(self, envelopes: Sequence[bytes]) -> RecordOrder:
        """Those that parse and are news."""
        time_slice = self._local.slices()
        order = RecordOrder()
        odd: list[BadUpdate] = []
        for envelope in envelopes[:MAX_RECORDS]:
            try:
                signed = SignedMemberRecord.read(envelope)
                if self.is_news(signed.record):
                    order.add(signed)
            except BadUpdate as error:
                odd.append(error)
            await time_slice.yield_if_due()
        if odd:
            self.refused += len(odd)
            _log.info("%d of %d member records are passed over: %s", len(odd), len(envelopes), odd[0])
        return order

    async def _accept(self, order: RecordOrder, vouched: bool, accepted: list[SignedMemberRecord]) -> None:
        """One by one: a grant that is kept may make the signer of the next one trusted."""
        time_slice = self._local.slices()
        for signed in order.all() if vouched else order.of_trusted(self.is_trusted):
            record = signed.record
            if self.is_news(record) and self.may_keep(record, vouched) and (vouched or self._is_due(record)):
                self._verify(signed)
                self._follow(signed)
                accepted.append(signed)
            await time_slice.yield_if_due()

    def _verify(self, signed: SignedMemberRecord) -> None:
        try:
            signed.check_signature(self._local.cluster_id, self._local.signer)
            signed.check_form()
        except BadUpdate:
            self.refused += 1
            raise

    def _is_due(self, record: MemberRecord) -> bool:
        """Whether a peer's profile may be taken again: one that always changes would busy every member."""
        last = self._taken.get(record.peer, -PROFILE_SPACING)
        return record.kind != PROFILE or _now() - last >= PROFILE_SPACING

    async def _issue_grant(self, peer: str, role: str, invite: bytes) -> None:
        self._check_may_change(peer, role)
        stamp = self._next_stamp(self.record(GRANT, peer))
        await self._issue(MemberRecord(GRANT, peer, self._local.peer, stamp, role=role, invite=invite))

    def _check_may_change(self, peer: str, role: str) -> None:
        us = self._local.peer
        if self.is_trusted(us) or (role == REMOVED and peer == us):
            return
        what = "follows the cluster" if self.is_member(us) else "is no member of the cluster"
        raise ReadOnlyMember(f"this node {what}: only trusted members change who belongs to it")

    async def _issue(self, record: MemberRecord) -> None:
        envelope = sign_record(record, self._local.cluster_id, self._local.signer)
        signed = SignedMemberRecord.read(envelope)
        async with self._lock:
            self._follow(signed)
            await self._keep([signed])

    def _next_stamp(self, *older: MemberRecord | None) -> int:
        return self._local.clock.tick(above=max(one.stamp if one else 0 for one in older))

    def _follow(self, signed: SignedMemberRecord) -> None:
        self.take(signed)
        if signed.record.kind == PROFILE:
            self._taken[signed.record.peer] = _now()
        for invite, peer in self._uses(signed.record):
            self.use(invite, peer)
        self._local.clock.observe(signed.record.stamp)

    def _uses(self, record: MemberRecord) -> list[tuple[bytes, str]]:
        """The invitation that we let a peer in with, and which peer."""
        ours = record.kind == GRANT and record.signer == self._local.peer and record.invite
        return [(record.invite, record.peer)] if ours else []

    async def _keep(self, records: Sequence[SignedMemberRecord]) -> None:
        if not records:
            return
        await self._store.put(
            [(signed.record.kind, signed.record.peer, signed.envelope) for signed in records],
            [use for signed in records for use in self._uses(signed.record)],
        )
        for handler in self._handlers:
            handler([signed.envelope for signed in records])


def _now() -> float:
    """Seconds of a clock that never jumps."""
    return asyncio.get_running_loop().time()
