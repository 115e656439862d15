"""Who belongs to the cluster: signed records, one *grant* and one *profile* a peer, the newest of each.

A grant gives a role or takes it away and is signed by a trusted member; a profile is what a member says of
itself. Records spread like batches: at once by gossip, surely by catching up. One signed by somebody who is
not trusted (any more) is accepted only from a trusted member, who vouches that it was in time; so all members
agree in the end, whatever order a removal and the removed member's last words came in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cluster import wire
from cluster.clock import HybridClock
from cluster.errors import BadUpdate, ReadOnlyMember, UntrustedPeer
from cluster.genesis import Genesis
from cluster.ports import Signer
from cluster.state import Member, Role
from cluster.store import PinsetStore

MAX_RECORDS = 4096
MAX_RECORD_BYTES = 8 * 1024
_MAX_ADDRESSES = 32
_DOMAIN = b"pinfold member 1\0"
_GRANT, _PROFILE = "grant", "profile"
_REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Record:
    """A grant (`role`, `invite`) or a profile (`name`, `addresses`) of `peer`, by `signer`."""

    kind: str
    peer: str
    signer: str
    stamp: int
    role: str = ""
    invite: bytes = b""
    name: str = ""
    addresses: tuple[str, ...] = ()

    @property
    def rank(self) -> tuple[int, bool, str]:
        """The highest counts: the newest; of equally new ones a removal, then the higher signer."""
        return self.stamp, self.role == _REMOVED, self.signer


def sign_record(record: Record, cluster_id: bytes, signer: Signer) -> bytes:
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
        }
    )
    return wire.encode({"p": payload, "s": signer.sign(_DOMAIN + cluster_id + payload)})


def verify_record(envelope: bytes, cluster_id: bytes, signer: Signer) -> Record:
    """Raises BadUpdate unless it is well-formed and signed by whom it names."""
    outer = wire.Fields.decode(envelope, MAX_RECORD_BYTES)
    payload = outer.data("p", MAX_RECORD_BYTES)
    fields = wire.Fields.decode(payload, MAX_RECORD_BYTES)
    record = Record(
        kind=fields.text("kind", limit=16),
        peer=fields.text("peer", limit=128),
        signer=fields.text("by", limit=128),
        stamp=fields.integer("stamp"),
        role=fields.text("role", limit=16),
        invite=fields.data("invite", 32),
        name=fields.text("name", limit=wire.MAX_NAME),
        addresses=fields.texts("at", _MAX_ADDRESSES),
    )
    _check_shape(record)
    if not signer.verify(record.signer, _DOMAIN + cluster_id + payload, outer.data("s", 128)):
        raise BadUpdate(f"a member record was not signed by {record.signer}")
    return record


def _check_shape(record: Record) -> None:
    if record.kind == _PROFILE and record.signer != record.peer:
        raise BadUpdate("a profile that another peer wrote")
    if record.kind == _GRANT and record.role not in (_REMOVED, *Role):
        raise BadUpdate(f'unknown role "{record.role}"')
    if record.kind == _GRANT and record.signer == record.peer and record.role == Role.TRUSTED:
        raise BadUpdate("a peer that trusts itself")
    if record.kind not in (_GRANT, _PROFILE):
        raise BadUpdate(f'unknown kind of record "{record.kind}"')


class Members:
    """The member list (state.Membership), durable and replicated. Our own changes return when durable."""

    def __init__(
        self,
        store: PinsetStore,
        genesis: Genesis,
        signer: Signer,
        clock: HybridClock,
        trusted: Iterable[str],
        stored: Sequence[bytes],
    ) -> None:
        """`trusted` count as trusted until a record says otherwise; the founder always does."""
        self._store = store
        self._genesis = genesis
        self._signer = signer
        self._clock = clock
        self._trusted = {genesis.founder, *trusted}
        self._records: dict[tuple[str, str], tuple[Record, bytes]] = {}
        self._handlers: list[Callable[[Sequence[bytes]], None]] = []
        for envelope in stored:
            record = verify_record(envelope, genesis.cluster_id, signer)
            self._records[record.kind, record.peer] = record, envelope

    def members(self) -> tuple[Member, ...]:
        granted = {peer for kind, peer in self._records if kind == _GRANT}
        roles = {peer: self.role(peer) for peer in sorted(granted | self._trusted)}
        return tuple(self._member(peer, role) for peer, role in roles.items() if role is not None)

    def role(self, peer: str) -> Role | None:
        """None for whoever is no member (any more)."""
        found = self._records.get((_GRANT, peer))
        if found is None:
            return Role.TRUSTED if peer in self._trusted else None
        return None if found[0].role == _REMOVED else Role(found[0].role)

    def is_trusted(self, peer: str) -> bool:
        return self.role(peer) is Role.TRUSTED

    def is_member(self, peer: str) -> bool:
        return self.role(peer) is not None

    def invited_with(self, invite: bytes) -> str | None:
        """Who joined with the invitation of that id."""
        return next((record.peer for record, _ in self._records.values() if record.invite == invite), None)

    def on_records(self, handler: Callable[[Sequence[bytes]], None]) -> None:
        """Hear of new records, anybody's, after they are durable. Must not block, must not raise."""
        self._handlers.append(handler)

    def records(self) -> list[bytes]:
        return [envelope for _, envelope in self._records.values()]

    def digest(self) -> bytes:
        """Equal on two members exactly when they hold the same records."""
        return hashlib.sha256(b"".join(sorted(hashlib.sha256(r).digest() for r in self.records()))).digest()

    async def grant(self, peer: str, role: Role, invite: bytes = b"") -> None:
        """Make that peer a member, or change its role. Raises ReadOnlyMember."""
        await self._issue_grant(peer, role.value, invite)

    async def remove(self, peer: str) -> None:
        """That peer is no member any more; what it pinned stays. Raises ReadOnlyMember, UntrustedPeer."""
        if not self.is_member(peer):
            raise UntrustedPeer(f"{peer} is not a member of this cluster")
        found = self._records.get((_GRANT, peer))
        await self._issue_grant(peer, _REMOVED, found[0].invite if found else b"")

    async def announce(self, name: str, addresses: Sequence[str]) -> None:
        """Tell all members our name and addresses; nothing is sent when they know."""
        us = self._signer.peer_id
        old = self._records.get((_PROFILE, us))
        wanted = name[: wire.MAX_NAME], tuple(addresses)[:_MAX_ADDRESSES]
        if old is None or (old[0].name, old[0].addresses) != wanted:
            await self._issue(Record(_PROFILE, us, us, self._newer(old), name=wanted[0], addresses=wanted[1]))

    async def accept(self, envelopes: Iterable[bytes], vouched: bool) -> int:
        """Keep what is newer and allowed; `vouched` when a trusted member gave them. How many were new.

        Raises BadUpdate for a record that nobody may make; the others of the call are then not looked at.
        """
        waiting = [(verify_record(e, self._genesis.cluster_id, self._signer), e) for e in envelopes]
        accepted: list[tuple[Record, bytes]] = []
        progress = True
        while progress:  # a grant may come before the one that makes its signer trusted
            usable = [pair for pair in waiting if self._may_keep(pair[0], vouched)]
            waiting = [pair for pair in waiting if pair not in usable]
            progress = bool(usable)
            for record, envelope in usable:
                if self._take(record, envelope):
                    accepted.append((record, envelope))
        await self._keep(accepted)
        return len(accepted)

    def _member(self, peer: str, role: Role) -> Member:
        found = self._records.get((_PROFILE, peer))
        return Member(peer, found[0].name, role, found[0].addresses) if found else Member(peer, "", role)

    async def _issue_grant(self, peer: str, role: str, invite: bytes) -> None:
        us = self._signer.peer_id
        if not self.is_trusted(us) and not (role == _REMOVED and peer == us):
            raise ReadOnlyMember(
                "this node follows the cluster: only trusted members change who belongs to it"
            )
        stamp = self._newer(self._records.get((_GRANT, peer)))
        await self._issue(Record(_GRANT, peer, us, stamp, role=role, invite=invite))

    async def _issue(self, record: Record) -> None:
        envelope = sign_record(record, self._genesis.cluster_id, self._signer)
        verify_record(envelope, self._genesis.cluster_id, self._signer)
        self._take(record, envelope)
        await self._keep([(record, envelope)])

    def _newer(self, old: tuple[Record, bytes] | None) -> int:
        return self._clock.tick(above=old[0].stamp if old else 0)

    def _may_keep(self, record: Record, vouched: bool) -> bool:
        if (record.kind, record.peer) not in self._records and len(self._records) >= MAX_RECORDS:
            return False
        if vouched:
            return True
        if record.kind == _PROFILE or (record.signer == record.peer and record.role == _REMOVED):
            return self.is_member(record.peer)
        return self.is_trusted(record.signer)

    def _take(self, record: Record, envelope: bytes) -> bool:
        old = self._records.get((record.kind, record.peer))
        if old is not None and old[0].rank >= record.rank:
            return False
        self._records[record.kind, record.peer] = record, envelope
        self._clock.observe(record.stamp)
        return True

    async def _keep(self, records: Sequence[tuple[Record, bytes]]) -> None:
        if not records:
            return
        await self._store.put_member_records([(record.kind, record.peer, e) for record, e in records])
        for handler in self._handlers:
            handler([envelope for _, envelope in records])


async def open_members(
    store: PinsetStore, genesis: Genesis, signer: Signer, clock: HybridClock, trusted: Iterable[str]
) -> Members:
    """The member list as stored. Raises BadUpdate when a record in the store is damaged."""
    return Members(store, genesis, signer, clock, trusted, await store.member_records())
