"""The replicated pinset: what this node writes reaches every member, and theirs reaches it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from blockstore.cid import CID
from cluster.common import wire
from cluster.common.genesis import Genesis
from cluster.common.key_order import in_order
from cluster.common.pin_codec import decode_pin, encode_pin
from cluster.errors import BadPinOptions, BadUpdate, ClusterError, NotPinned, ReadOnlyMember
from cluster.interfaces import EVERY_PIN, PinChange, PinPage, PinQuery, Role, StoredPins
from cluster.members.invite import LIFETIME, Invite, make_invite
from cluster.members.member_list import MemberList
from cluster.members.standing import Standing
from cluster.pin import KeyRange, Pin
from cluster.pinset.changes import PinWrite
from cluster.pinset.pin_listing import PinListing
from cluster.pinset.tables.migrator import MigrationProgress, Migrator
from cluster.pinset.tables.pinset_state import PinsetState
from cluster.pinset.tables.schema import REMEDY
from cluster.replication.context import ReplicationContext, ReplicationCounts
from cluster.replication.own_quota import OwnQuota
from cluster.replication.pinset_log import PinsetLog
from cluster.replication.sync_loop import SyncLoop
from cluster.replication.write_batcher import WriteBatcher

PAGE_SIZE = 1000
"""Pins read at once while they are listed."""


class ReplicatedPinset:
    """PinsetReader and PinsetWriter over what all members agree on. Made by open_pinset."""

    def __init__(
        self,
        context: ReplicationContext,
        standing: Standing,
        sync_loop: SyncLoop,
        batcher: WriteBatcher,
        own_quota: OwnQuota,
        log: PinsetLog,
        migrator: Migrator,
        page_size: int = PAGE_SIZE,
    ) -> None:
        self.standing = standing
        self.log = log
        self._context = context
        self._store = context.store
        self._sync_loop = sync_loop
        self._batcher = batcher
        self._own_quota = own_quota
        self._migrator = migrator
        self.listing = PinListing(context.store, page_size)

    @property
    def genesis(self) -> Genesis:
        return self._context.local.genesis

    @property
    def members(self) -> MemberList:
        """The Membership of this cluster."""
        return self._context.members

    async def get(self, cid: CID) -> Pin | None:
        (pin,) = await self.get_many([cid])
        return pin

    async def get_many(self, cids: Sequence[CID]) -> list[Pin | None]:
        values = await self._store.values([bytes(cid) for cid in cids])
        return [
            decode_pin(value).pin(cid) if value is not None else None
            for cid, value in zip(cids, values, strict=True)
        ]

    def pins(self, query: PinQuery = EVERY_PIN) -> AsyncIterator[Pin]:
        """Also raises BadUpdate for a row that cannot be read, once all the others were given."""
        return self.listing.pins(query)

    async def page(self, query: PinQuery, cursor: str | None = None, limit: int = 1000) -> PinPage:
        return await self.listing.page(query, cursor, limit)

    async def stored(self, keys: KeyRange, limit: int) -> StoredPins:
        found = await self._store.stored(keys, limit)
        if not in_order(keys.after, found.cids):
            raise BadUpdate(f"the list of pins is damaged, and not in order: {REMEDY} (cluster.db)")
        return found

    def state(self) -> AbstractAsyncContextManager[PinsetState]:
        """The pins as they are now, for the length of the block, which is to be short."""
        return self._store.state()

    async def count(self, query: PinQuery = EVERY_PIN) -> int:
        return await self._store.count(query)

    async def was_removed(self, cid: CID) -> bool:
        return await self._store.was_removed(bytes(cid))

    async def were_removed(self, cids: Sequence[CID]) -> list[bool]:
        return await self._store.were_removed([bytes(cid) for cid in cids])

    def on_changes(self, handler: Callable[[Sequence[PinChange]], None]) -> None:
        self._context.changes.subscribe(handler)

    def check_writable(self) -> None:
        self.standing.check_writable()

    async def put(self, pin: Pin) -> None:
        """Also raises BadPinOptions for a pin that is too large to replicate, and what the disk raises."""
        (error,) = await self.put_many([pin])
        if error is not None:
            raise error

    async def put_many(self, pins: Sequence[Pin]) -> list[ClusterError | None]:
        """As `put`, with BadPinOptions in the place of each pin that is too large.

        Also raises MemberQuotaReached for each that is one too many.
        """
        errors, _ = await self._put(pins, are_new=False)
        return errors

    async def put_new_many(self, pins: Sequence[Pin]) -> list[ClusterError | Pin | None]:
        """As `put_many`; also BadUpdate for a pin that is there and cannot be read."""
        errors, before = await self._put(pins, are_new=True)
        there = iter(before)
        return [
            error if error is not None else _pin_of(pin.cid, next(there))
            for pin, error in zip(pins, errors, strict=True)
        ]

    async def _put(
        self, pins: Sequence[Pin], *, are_new: bool
    ) -> tuple[list[ClusterError | None], Sequence[bytes | None]]:
        """What kept each from being put; and what there was before of each of the others."""
        self.check_writable()
        time_slice = self._context.local.slices()
        writes: list[PinWrite] = []
        errors: list[ClusterError | None] = []
        with self._own_quota.claim() as claim:
            for pin in pins:
                write = _encoded(pin, is_new=are_new)
                error = claim.take(write) if isinstance(write, PinWrite) else write
                errors.append(error)
                if isinstance(write, PinWrite) and error is None:
                    writes.append(write)
                if time_slice.is_due:
                    await time_slice.rest()
            return errors, await self._batcher.submit(writes)

    async def remove(self, cid: CID) -> Pin:
        (pin,) = await self.remove_many([cid])
        if isinstance(pin, ClusterError):
            raise pin
        return pin

    async def remove_many(self, cids: Sequence[CID]) -> list[Pin | ClusterError]:
        self.check_writable()
        values = await self._batcher.submit([PinWrite(cid, None) for cid in cids])
        return [_removed(cid, value) for cid, value in zip(cids, values, strict=True)]

    @property
    def migration(self) -> MigrationProgress | None:
        """How far what an earlier release wrote has the form of this one; None where all has."""
        return self._migrator.progress

    async def invite(
        self,
        secret: bytes,
        role: Role = Role.TRUSTED,
        lifetime: float = LIFETIME,
        addresses: Sequence[str] = (),
    ) -> Invite:
        """A join token for one peer, valid for `lifetime` seconds; `str()` of it is what a user copies.

        It names `addresses`, or else those we listen on. Raises ReadOnlyMember, BadInvite.
        """
        local, calls = self._context.local, self._context.calls
        if not self.members.is_trusted(local.peer):
            raise ReadOnlyMember("this node follows the cluster: invite from a trusted member")
        at = tuple(addresses) or tuple(calls.addresses(local.peer))
        expires = self._context.now() + lifetime
        return make_invite(local.genesis, local.signer, secret, at, role, expires, local.chance)

    async def digest(self) -> bytes:
        """Equal on two members exactly when their pinsets are, deletions included."""
        bits = self.genesis.document_bits
        sums = await self._store.digest_sums(0, 1 << bits, bits)
        return wire.encode([[one.documents, one.first, one.second] for one in sums.values()])

    async def sync(self, peer: str) -> None:
        """Bring all that this member has and we lack, now. Raises CallFailed, PeerOffline, BadUpdate."""
        await self._sync_loop.sync(peer)

    async def repair(self, peer: str) -> frozenset[int]:
        """Compare documents with a member whose log equals ours; the numbers of those made again.

        Raises CallFailed, PeerOffline, BadUpdate.
        """
        return await self._sync_loop.repair(peer)

    @property
    def snapshot_progress(self) -> float | None:
        """How much of another member's documents has come, from 0 to 1, while this one starts from them."""
        place = self._context.replica.snapshot_place
        return place.next / (1 << self.genesis.document_bits) if place is not None else None

    def clock_skews(self) -> Mapping[str, float]:
        """Members whose clocks are more than five minutes off from ours: seconds they are ahead."""
        return self._context.skews.all()

    @property
    def writes_waiting(self) -> int:
        """Parts of what callers write, each at most a batch, that the next batches are made of."""
        return self._batcher.waiting

    @property
    def counts(self) -> ReplicationCounts:
        return self._context.counts


def _encoded(pin: Pin, *, is_new: bool) -> PinWrite | BadPinOptions:
    try:
        return PinWrite(pin.cid, encode_pin(pin), is_new)
    except BadPinOptions as error:
        return error


def _removed(cid: CID, before: bytes | None) -> Pin | ClusterError:
    return _pin_of(cid, before) or NotPinned()


def _pin_of(cid: CID, value: bytes | None) -> Pin | ClusterError | None:
    try:
        return None if value is None else decode_pin(value).pin(cid)
    except BadUpdate as error:
        return error
