"""The replicated pinset, whole: what this node writes reaches every member, and theirs reaches it."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from blockstore.cid import CID
from blockstore.tasks import background
from cluster import wire
from cluster.clock import TOLERANCE
from cluster.errors import BadInvite, NotPinned, ReadOnlyMember
from cluster.gathering import Gatherer
from cluster.genesis import Genesis
from cluster.invite import LIFETIME, Invite, make_invite
from cluster.joining import JOIN, Doorkeeper, join
from cluster.ledger import Operation, open_ledger, stored_clock
from cluster.membership import Members, open_members
from cluster.pin import Pin
from cluster.ports import Gossip, PeerCalls, Signer
from cluster.spreading import ReplicationCounts, Spreader
from cluster.state import EVERY_PIN, PinChange, PinQuery, Role
from cluster.store import Database, PinsetStore
from cluster.visits import Visits

BATCH_SIZE = 1000
BATCH_AGE = 0.02  # seconds
_PAGE = 512
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
        members: Members,
        spreader: Spreader,
        gatherer: Gatherer,
        handlers: list[Callable[[PinChange], None]],
        now: Callable[[], float],
    ) -> None:
        self.genesis = genesis
        self.members = members
        self.join_problem = ""
        """Why the join token did not let this node in; empty while that is tried, and once it is in."""
        self._signer = signer
        self._calls = calls
        self._store = store
        self._spreader = spreader
        self._gatherer = gatherer
        self._handlers = handlers
        self._now = now

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
        after = bytes(query.after) if query.after else b""
        while page := await self._store.page(query, after, _PAGE):
            for cid, value in page:
                yield wire.decode_pin(value).pin(CID.decode(cid))
            after = page[-1][0]

    async def count(self, query: PinQuery = EVERY_PIN) -> int:
        return await self._store.count(query)

    def on_change(self, handler: Callable[[PinChange], None]) -> None:
        self._handlers.append(handler)

    async def put(self, pin: Pin) -> None:
        """Also raises BadPinOptions for a pin that is too large to replicate, and what the disk raises."""
        self._check_writable()
        await self._gatherer.submit(Operation(pin.cid, pin), wire.check_pin(pin))

    async def remove(self, cid: CID) -> Pin:
        self._check_writable()
        before = await self._gatherer.submit(Operation(cid, None), 0)
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
        reason = self.join_problem or "no member that could let it in has answered yet"
        raise ReadOnlyMember(f"this node is not a member of the cluster: {reason}")

    async def introduce(self, name: str, invite: Invite | None) -> None:
        """Tell the members who and where we are; first become one, with the invitation, if we are none."""
        us = self._signer.peer_id
        await self.members.announce(name, self._calls.addresses(us))
        if invite is None or self.members.role(us) is not None:
            return
        try:
            await join(invite, self.members, self._calls)
        except BadInvite as error:
            self.join_problem = str(error)
            _logger.error("%s", error)


@asynccontextmanager
async def open_pinset(
    database: Database,
    genesis: Genesis,
    signer: Signer,
    gossip: Gossip,
    calls: PeerCalls,
    *,
    name: str = "",
    invite: Invite | None = None,
    batch_size: int = BATCH_SIZE,
    batch_age: float = BATCH_AGE,
    now: Callable[[], float] = time.time,
) -> AsyncIterator[ReplicatedPinset]:
    """The pinset kept in `database` (opened with store.SCHEMA and PRAGMAS), replicated while the block lasts.

    `name` is what we tell others of ourselves. With an `invite` this node joins in the background as soon as
    somebody lets it in, and until then believes the peers that the token names. `batch_age` in seconds.
    Leaving writes what was submitted, then stops. Raises BadUpdate when the stored member list is damaged.
    """
    store = PinsetStore(database)
    handlers: list[Callable[[PinChange], None]] = []

    def tell(changes: Sequence[PinChange]) -> None:
        for change in changes:
            for handler in handlers:
                handler(change)

    clock = await stored_clock(store, now)
    if clock.ahead() > TOLERANCE:
        _logger.warning(
            "this node's clock stands %.1f hours before what it last wrote: set it by NTP",
            clock.ahead() / 3600,
        )
    members = await open_members(store, genesis, signer, clock, invite.trusted if invite else ())
    ledger = await open_ledger(store, genesis, signer, clock, tell)
    visits = Visits()
    spreader = Spreader(store, genesis, signer, gossip, calls, members, ledger, visits, now)
    gatherer = Gatherer(spreader.write, batch_size, batch_age)
    pinset = ReplicatedPinset(genesis, signer, calls, store, members, spreader, gatherer, handlers, now)
    calls.serve(JOIN, visits.call(Doorkeeper(genesis, signer, members, now).answer))
    loops = gatherer.run(), spreader.publishing(), spreader.asking(), spreader.wandering()
    try:
        async with background(*loops, pinset.introduce(name, invite)):
            try:
                yield pinset
            finally:
                await gatherer.close()
    finally:
        await visits.close()
        await ledger.settled()
