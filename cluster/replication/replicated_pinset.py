"""The replicated pinset, whole: what this node writes reaches every member, and theirs reaches it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random, SystemRandom

from blockstore.cid import CID
from blockstore.common.guard import Guard
from blockstore.common.tasks import background
from cluster.common import wire
from cluster.common.cooperative import Slices, TimeSlice
from cluster.common.genesis import Genesis
from cluster.common.hybrid_clock import TOLERANCE
from cluster.errors import BadInvite, BadUpdate, NotPinned, ReadOnlyMember
from cluster.interfaces import EVERY_PIN, PinChange, PinQuery, Role
from cluster.members.invite import LIFETIME, Invite, make_invite
from cluster.members.join import JOIN, JoinHandler, join
from cluster.members.member_list import MemberList, Removal, open_members
from cluster.pin import Pin
from cluster.pinset.replica import PinWrite, open_ledger, stored_clock
from cluster.pinset.store import REMEDY, PinsetStore, SqlDatabase
from cluster.ports import Gossip, PeerCalls, Signer
from cluster.replication.handler_gate import HandlerGate
from cluster.replication.pinset_gossip import PinsetGossip, ReplicationCounts
from cluster.replication.write_batcher import WriteBatcher

BATCH_SIZE = 1000
BATCH_AGE = 0.02  # seconds
PAGE_SIZE = 512  # pins read at once while they are listed
_LONGEST_PAUSE = 60.0  # seconds between attempts to tell members where we are
_logger = logging.getLogger(__name__)


class ReplicatedPinset:
    """PinsetReader and PinsetWriter over what all members agree on; `members` is the Membership.

    Made by open_pinset.
    """

    def __init__(
        self,
        genesis: Genesis,
        signer: Signer,
        calls: PeerCalls,
        store: PinsetStore,
        members: MemberList,
        spreader: PinsetGossip,
        gatherer: WriteBatcher,
        handlers: list[Callable[[PinChange], None]],
        now: Callable[[], float],
        page_size: int = PAGE_SIZE,
    ) -> None:
        self.genesis = genesis
        self.members = members
        self.join_problem = ""
        """Why the join token did not let this node in; empty while that is tried, and once it is in."""
        self.joined = asyncio.Event()
        """Set once this node is a member; the invitation that it came with is of no use from then on."""
        self._signer = signer
        self._calls = calls
        self._store = store
        self._spreader = spreader
        self._gatherer = gatherer
        self._handlers = handlers
        self._now = now
        self._page_size = page_size

    async def get(self, cid: CID) -> Pin | None:
        (pin,) = await self.get_many([cid])
        return pin

    async def get_many(self, cids: Sequence[CID]) -> list[Pin | None]:
        values = await self._store.values([bytes(cid) for cid in cids])
        return [
            wire.decode_pin(value).pin(cid) if value is not None else None
            for cid, value in zip(cids, values, strict=True)
        ]

    async def pins(self, query: PinQuery = EVERY_PIN) -> AsyncIterator[Pin]:
        """Also raises BadUpdate for a row that cannot be read, once all the others were given.

        So it keeps nobody from them, and nobody takes its CID for one that is not pinned.
        """
        after = bytes(query.after) if query.after else b""
        odd: list[BadUpdate] = []
        while page := await self._store.page(query, after, self._page_size):
            for cid, value in page:
                if cid <= after:  # whoever goes on behind the last would never end
                    raise BadUpdate(f"the list of pins is damaged, and not in order: {REMEDY} (cluster.db)")
                after = cid
                pin = _read(cid, value)
                if isinstance(pin, Pin):
                    yield pin
                else:
                    odd.append(pin)
        for error in odd:
            raise error

    async def count(self, query: PinQuery = EVERY_PIN) -> int:
        return await self._store.count(query)

    async def was_removed(self, cid: CID) -> bool:
        return await self._store.was_removed(bytes(cid))

    def on_change(self, handler: Callable[[PinChange], None]) -> None:
        self._handlers.append(handler)

    async def put(self, pin: Pin) -> None:
        """Also raises BadPinOptions for a pin that is too large to replicate, and what the disk raises."""
        self._check_writable()
        await self._gatherer.submit(PinWrite(pin.cid, pin), wire.check_pin(pin))

    async def remove(self, cid: CID) -> Pin:
        self._check_writable()
        before = await self._gatherer.submit(PinWrite(cid, None), 0)
        if before is None:
            raise NotPinned
        return before

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
        if not self.members.is_trusted(self._signer.peer_id):
            raise ReadOnlyMember("this node follows the cluster: invite from a trusted member")
        at = tuple(addresses) or tuple(self._calls.addresses(self._signer.peer_id))
        return make_invite(self.genesis, self._signer, secret, at, role, self._now() + lifetime)

    async def digest(self) -> bytes:
        """Equal on two members exactly when their pinsets are, deletions included."""
        bits = self.genesis.document_bits
        sums = await self._store.digest_sums(0, 1 << bits, bits)
        return wire.encode([list(values) for values in sums.values()])

    async def sync(self, peer: str) -> None:
        """Bring all that this member has and we lack, now. Raises CallFailed, PeerOffline, BadUpdate."""
        await self._spreader.sync(peer)

    async def repair(self, peer: str) -> frozenset[int]:
        """Compare documents with a member whose log equals ours; the numbers of those made again.

        Raises CallFailed, PeerOffline, BadUpdate.
        """
        return await self._spreader.repair(peer)

    def clock_skews(self) -> Mapping[str, float]:
        """Members whose clocks are more than five minutes off from ours: seconds they are ahead."""
        return self._spreader.clock_skews()

    @property
    def counts(self) -> ReplicationCounts:
        return self._spreader.counts

    @property
    def held(self) -> int:
        """Batches in memory that wait for what they build on."""
        return len(self._spreader.held)

    def _check_writable(self) -> None:
        role = self.members.role(self._signer.peer_id)
        if role is Role.TRUSTED:
            return
        if role is Role.FOLLOWER:
            raise ReadOnlyMember("this node follows the cluster: pin and unpin at a trusted member")
        raise ReadOnlyMember(self.outside)

    @property
    def outside(self) -> str:
        """Why this node is no member, for its user; empty when it is one."""
        us = self._signer.peer_id
        if self.members.role(us) is not None:
            return ""
        if (removal := self.members.removal(us)) is not None and not self.join_problem:
            return self._removed(removal)
        reason = self.join_problem or "no member that could let it in has answered yet"
        return f"this node is not a member of the cluster: {reason}"

    def _removed(self, removal: Removal) -> str:
        by = self.members.name(removal.by)
        day = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(removal.at))
        return (
            f"this node was removed from the cluster by {by or removal.by} on {day}: what it holds stays,"
            " and nothing is shared any more. To have it back: `pinfold cluster invite` at a member, then"
            " `pinfold init --join TOKEN` here"
        )

    async def introduce(self, name: str, invite: Invite | None, guard: Guard) -> None:
        """Tell the members who and where we are; first become one, with the invitation, if we are none."""
        await _until_done(guard, "telling members where we are", lambda: self._announce(name))
        if self.outside and invite is not None:
            await _until_done(guard, "joining", lambda: self._join(invite))
        elif self.outside:
            _logger.error("%s", self.outside)
        if not self.outside:
            self.joined.set()

    async def _announce(self, name: str) -> None:
        await self.members.announce(name, self._calls.addresses(self._signer.peer_id))

    async def _join(self, invite: Invite) -> None:
        try:
            await join(invite, self._signer.peer_id, self.members, self._calls)
        except BadInvite as error:
            self.join_problem = str(error)
            _logger.error("%s", error)

    def heed(self, _records: Sequence[bytes]) -> None:
        """New member records: where they say that we are no member any more, our user is told."""
        removal = self.members.removal(self._signer.peer_id)
        if removal is not None and self.joined.is_set():
            self.joined.clear()
            _logger.error("%s", self._removed(removal))
        elif removal is None and not self.outside:
            self.joined.set()


def _read(cid: bytes, value: bytes) -> Pin | BadUpdate:
    try:
        return wire.decode_pin(value).pin(CID.decode(cid))
    except (BadUpdate, ValueError) as error:
        return BadUpdate(f"the pin of {cid.hex()} cannot be read here: {error}")


async def _until_done(guard: Guard, what: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do it once; again, with growing pauses, where the disk is full or something unforeseen fails."""
    pause = 1.0
    while True:
        with guard.around(what, "the cluster"):
            try:
                return await work()
            except OSError as error:
                _logger.warning("%s: not now: %s", what, error)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


@asynccontextmanager
async def open_pinset(
    database: SqlDatabase,
    genesis: Genesis,
    signer: Signer,
    gossip: Gossip,
    calls: PeerCalls,
    *,
    name: str = "",
    invite: Invite | None = None,
    batch_size: int = BATCH_SIZE,
    batch_age: float = BATCH_AGE,
    page_size: int = PAGE_SIZE,
    now: Callable[[], float] = time.time,
    guard: Guard | None = None,
    chance: Random | None = None,
    slices: Slices = TimeSlice,
) -> AsyncIterator[ReplicatedPinset]:
    """The pinset kept in `database` (opened with store.SCHEMA and PRAGMAS), replicated while the block lasts.

    `name` is what we tell others of ourselves. With an `invite` this node joins in the background as soon as
    somebody lets it in, and until then believes the peers that the token names. `batch_age` in seconds.
    Leaving writes what was submitted, then stops. What nobody foresaw in a loop is `guard`'s to count.
    Epochs and pauses are drawn by `chance`, the system's if none is given; `slices` begin long work.
    """
    chance = chance or SystemRandom()
    store = PinsetStore(database)
    handlers: list[Callable[[PinChange], None]] = []

    guard = guard or Guard()

    def tell(changes: Sequence[PinChange]) -> None:
        for change in changes:
            for handler in handlers:
                with guard.around("telling of a changed pin", str(change.cid)):
                    handler(change)

    clock = await stored_clock(store, now)
    if clock.ahead() > TOLERANCE:
        _logger.warning(
            "this node's clock stands %.1f hours before what it last wrote: set it by NTP",
            clock.ahead() / 3600,
        )
    members = await open_members(store, genesis, signer, clock, invite.trusted if invite else (), slices)
    ledger = await open_ledger(store, genesis, signer, clock, tell, chance, slices)
    visits = HandlerGate()
    spreader = PinsetGossip(
        store, genesis, signer, gossip, calls, members, ledger, visits, now, guard, chance
    )
    gatherer = WriteBatcher(spreader.write, batch_size, batch_age, slices)
    pinset = ReplicatedPinset(
        genesis, signer, calls, store, members, spreader, gatherer, handlers, now, page_size
    )
    members.on_records(pinset.heed)
    calls.serve(JOIN, visits.call(JoinHandler(genesis, signer, members, now).answer))
    loops = gatherer.run(), spreader.publishing(), spreader.asking(), spreader.wandering()
    try:
        async with background(*loops, pinset.introduce(name, invite, guard)):
            try:
                yield pinset
            finally:
                await gatherer.close()
    finally:
        await visits.close()
        await ledger.settled()
