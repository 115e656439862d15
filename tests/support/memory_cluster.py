"""A cluster in memory: one pinset for N members, a network that can be cut, content that can be missing.

Honest stand-ins for the cluster's ports: the promises of cluster/ports.py and cluster/interfaces.py,
without disks and sockets, so that whole clusters run in virtual time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

from blockstore.cid import CID
from blockstore.common.guard import Guard
from cluster.assembly import LocalNode, open_cluster
from cluster.calls.node_info import IpfsInfo
from cluster.cluster import Cluster
from cluster.context import ClusterContext
from cluster.errors import CannotRemove, NotPinned, ReadOnlyMember, UntrustedPeer
from cluster.interfaces import EVERY_PIN, Member, PinChange, PinQuery, Role
from cluster.pin import Pin, Progress, Status
from cluster.ports import (
    Attempt,
    CallHandler,
    Capacity,
    GossipHandler,
    GossipMessage,
    LocalPin,
    LocalPins,
    PeerOffline,
    PinFailed,
    ProgressHandler,
    check_gossip,
    check_request,
)
from cluster.settings import ClusterSettings
from support.call_methods import Methods, within
from support.gossip_topics import Topics
from support.peer_keys import Key


def cid(number: int) -> CID:
    """A CID of nothing in particular; larger numbers come later in order of bytes."""
    return CID.v1(0x55, b"\x12\x20" + number.to_bytes(4) + bytes(28))


@dataclass
class SharedPins:
    """The pinset, the same at every member; a `deaf` member misses events and has to look."""

    pins: dict[CID, Pin] = field(default_factory=dict)
    removed: set[CID] = field(default_factory=set)
    views: list[PinsetView] = field(default_factory=list)
    writes: int = 0
    odd: set[CID] = field(default_factory=set)  # writing these meets a bug

    def changed(self, cid: CID) -> None:
        self.writes += 1
        for view in self.views:
            view.tell(PinChange(cid, self.pins.get(cid)))


class PinsetView:
    """One member's reader and writer; a follower's is `read_only`."""

    def __init__(self, shared: SharedPins, read_only: bool = False) -> None:
        self._shared = shared
        self._read_only = read_only
        self._handlers: list[Callable[[PinChange], None]] = []
        self.deaf = False
        shared.views.append(self)

    def forget_handlers(self) -> None:
        """The process that listened has ended."""
        self._handlers.clear()

    def tell(self, change: PinChange) -> None:
        if not self.deaf:
            for handler in self._handlers:
                handler(change)

    async def get(self, cid: CID) -> Pin | None:
        return self._shared.pins.get(cid)

    async def get_many(self, cids: Sequence[CID]) -> list[Pin | None]:
        return [self._shared.pins.get(cid) for cid in cids]

    async def pins(self, query: PinQuery = EVERY_PIN) -> AsyncIterator[Pin]:
        for _, pin in sorted((bytes(cid), pin) for cid, pin in self._shared.pins.items()):
            if matches(pin, query):
                yield pin

    async def count(self, query: PinQuery = EVERY_PIN) -> int:
        return len([pin async for pin in self.pins(query)])

    async def was_removed(self, cid: CID) -> bool:
        return cid in self._shared.removed and cid not in self._shared.pins

    def on_change(self, handler: Callable[[PinChange], None]) -> None:
        self._handlers.append(handler)

    def check_writable(self) -> None:
        if self._read_only:
            raise ReadOnlyMember("this node follows the cluster: pin at a trusted member")

    async def put(self, pin: Pin) -> None:
        self._check(pin.cid)
        self._shared.pins[pin.cid] = pin
        self._shared.changed(pin.cid)

    async def remove(self, cid: CID) -> Pin:
        self._check(cid)
        pin = self._shared.pins.pop(cid, None)
        if pin is None:
            raise NotPinned
        self._shared.removed.add(cid)
        self._shared.changed(cid)
        return pin

    def _check(self, cid: CID) -> None:
        self.check_writable()
        if cid in self._shared.odd:
            raise ZeroDivisionError


def matches(pin: Pin, query: PinQuery) -> bool:
    expiry = pin.options.expire_at
    return (
        (query.after is None or bytes(pin.cid) > bytes(query.after))
        and query.name in (None, pin.options.name)
        and (query.held_by is None or pin.held_by(query.held_by))
        and (query.expires_before is None or (expiry is not None and expiry < query.expires_before))
        and all(dict(pin.options.metadata).get(key) == value for key, value in query.metadata)
    )


class MemoryMembers:
    """Membership, the same for all members; or as `us` sees it, who may not be allowed to change it."""

    def __init__(self, members: Sequence[Member], us: str | None = None) -> None:
        self._members = {member.peer: member for member in members}
        self._names = {member.peer: member.name for member in members}
        self._removed: set[str] = set()
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
        self._removed.add(peer)


class MemoryNetwork:
    """Who can talk to whom: all peers that are up."""

    def __init__(self, guard: Guard | None = None) -> None:
        self.guard = guard or Guard()
        self.up: set[str] = set()
        self.ports: dict[str, Port] = {}

    def port(self, peer: str) -> Port:
        self.ports[peer] = Port(self, peer)
        return self.ports[peer]

    def set_up(self, peer: str, up: bool) -> None:
        """Connect that peer to all that are up, or cut it off; both sides hear of it."""
        if (peer in self.up) == up:
            return
        others = [self.ports[other] for other in sorted(self.up - {peer})]
        (self.up.add if up else self.up.discard)(peer)
        for other in others:
            other.tell(peer, up)
            self.ports[peer].tell(other.peer, up)

    async def heard(self) -> None:
        """Wait until what was published so far is handled."""
        for port in self.ports.values():
            await port.topics.handled()


class Port:
    """One member's Gossip and PeerCalls."""

    def __init__(self, network: MemoryNetwork, peer: str) -> None:
        self._network = network
        self.peer = peer
        self.methods = Methods()
        self.topics = Topics(network.guard)
        self.called: list[tuple[str, str]] = []
        self._peer_handlers: list[Callable[[str, bool], None]] = []

    async def publish(self, topic: str, message: bytes) -> None:
        check_gossip(message)
        for peer in sorted(self.peers()):
            self._network.ports[peer].topics.deliver(topic, GossipMessage(self.peer, self.peer, message))

    def subscribe(self, topic: str, handler: GossipHandler) -> None:
        self.topics.subscribe(topic, handler)

    async def call(self, peer: str, method: str, request: bytes, timeout: float = 15.0) -> bytes:
        check_request(method, request)
        self.called.append((peer, method))
        async with within(timeout, peer):
            await asyncio.sleep(0.01)
            if peer not in self.peers():
                raise PeerOffline(f"{peer} cannot be reached")
            return await self._network.ports[peer].methods.answer(self.peer, method, request)

    def serve(self, method: str, handler: CallHandler) -> None:
        self.methods.serve(method, handler)

    def peers(self) -> frozenset[str]:
        up = self._network.up
        return frozenset(up - {self.peer}) if self.peer in up else frozenset()

    def on_peer_change(self, handler: Callable[[str, bool], None]) -> None:
        self._peer_handlers.append(handler)

    def tell(self, peer: str, connected: bool) -> None:
        for handler in self._peer_handlers:
            handler(peer, connected)

    def close(self) -> None:
        """The process that served and listened has ended."""
        self.methods.close()
        self.topics.close()
        self._peer_handlers.clear()

    def addresses(self, peer: str) -> Sequence[str]:
        return (f"/ip4/127.0.0.1/tcp/9096/p2p/{peer}",)

    async def connect(self, address: str) -> str:
        peer = address.rpartition("/")[2]
        if peer not in self._network.up:
            raise PeerOffline(f"{address} does not answer")
        return peer


class MemoryPins:
    """LocalPins: each DAG has ten blocks, `pace` seconds each; no peer has what is `missing`.

    A walk of what is `stuck` stands still, and one of what is `broken` meets a bug.
    """

    def __init__(
        self, missing: set[CID], stuck: set[CID], broken: Collection[CID] = (), pace: float = 1.0
    ) -> None:
        self._missing = missing
        self._stuck = stuck
        self._broken = broken
        self._pace = pace
        self._fetched: Counter[CID] = Counter()
        self._unpinned: Counter[CID] = Counter()
        self.roots: dict[CID, LocalPin] = {}
        self.walks: list[CID] = []
        self.fetches: list[CID] = []
        self.hints: dict[CID, Sequence[str]] = {}
        self.busy = 0
        self.busiest = 0

    async def pin(
        self, cid: CID, *, recursive: bool, hints: Sequence[str], progress: ProgressHandler
    ) -> LocalPin:
        known = self.roots.get(cid)
        if known is not None and known.has(recursive):
            return known
        self.walks.append(cid)
        self.hints[cid] = hints
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            return await self._walk(cid, recursive or (known is not None and known.recursive), progress)
        finally:
            self.busy -= 1

    async def _walk(self, cid: CID, recursive: bool, progress: ProgressHandler) -> LocalPin:
        self.roots[cid] = LocalPin(cid, complete=False, recursive=recursive)
        unpinned, count = self._unpinned[cid], 10 if recursive else 1
        for blocks in range(self._fetched[cid], count):
            await self._fetch(cid)
            if self._unpinned[cid] != unpinned:
                raise PinFailed("it was unpinned meanwhile")
            self._fetched[cid] = blocks + 1
            progress(Progress(blocks + 1, (blocks + 1) * 1000, count - 1 - blocks))
        self.roots[cid] = LocalPin(cid, True, count, count * 1000, recursive)
        return self.roots[cid]

    async def _fetch(self, cid: CID) -> None:
        self.fetches.append(cid)
        await asyncio.sleep(self._pace)
        if cid in self._broken:
            raise ZeroDivisionError
        if cid in self._missing:
            raise PinFailed("no providers found")
        while cid in self._stuck:  # noqa: ASYNC110 - a set that tests fill and empty
            await asyncio.sleep(self._pace)

    async def unpin(self, cid: CID) -> None:
        self.roots.pop(cid, None)
        self._unpinned[cid] += 1

    async def get(self, cid: CID) -> LocalPin | None:
        return self.roots.get(cid)

    async def pinned(self, after: CID | None = None) -> AsyncIterator[LocalPin]:
        start = bytes(after) if after else b""
        for key, root in sorted((bytes(cid), root) for cid, root in self.roots.items()):
            if key > start and self.roots.get(root.cid) is root:
                yield root


class MemoryAttempts:
    """AttemptStore in a dict; `full` makes it fail as a full disk does."""

    def __init__(self) -> None:
        self.rows: dict[CID, Attempt] = {}
        self.full = False

    async def get_many(self, cids: Sequence[CID]) -> list[Attempt | None]:
        return [self.rows.get(cid) for cid in cids]

    async def put(self, attempt: Attempt) -> None:
        if self.full:
            raise OSError("disk full")
        self.rows[attempt.cid] = attempt

    async def remove(self, cid: CID) -> None:
        self.rows.pop(cid, None)

    async def claim(self, now: float, horizon: float, until: float, limit: int) -> list[Attempt]:
        due = [row for row in self.rows.values() if row.retry_at <= now or row.retry_at > horizon]
        claimed = sorted(due, key=lambda row: row.retry_at)[:limit]
        self.rows.update({row.cid: replace(row, retry_at=until) for row in claimed})
        return claimed

    async def next_retry(self) -> float | None:
        return min((row.retry_at for row in self.rows.values()), default=None)

    async def page(self, after: CID | None, limit: int) -> list[Attempt]:
        start = bytes(after) if after else b""
        rows = [row for row in self.rows.values() if bytes(row.cid) > start]
        return sorted(rows, key=lambda row: bytes(row.cid))[:limit]


CLUSTER_ID = bytes(32)
EPOCH = 1_700_000_000.0
"""When the virtual loop began, as a wall clock tells it."""


def wall_clock() -> float:
    return EPOCH + asyncio.get_running_loop().time()


@dataclass
class Machine:
    """What survives a restart of one member, and what a test may break."""

    key: Key
    name: str
    view: PinsetView
    pins: MemoryPins
    attempts: MemoryAttempts
    port: Port
    free: int = 10**12
    quota: int = 0
    clock_offset: float = 0.0

    @property
    def peer(self) -> str:
        return self.key.peer_id


class MemoryCluster:
    """Members 0..n-1 over one pinset and one network."""

    def __init__(
        self, count: int, followers: Sequence[int] = (), settings: ClusterSettings | None = None
    ) -> None:
        self.settings = settings or ClusterSettings()
        self.shared = SharedPins()
        self.guard = Guard()
        self.network = MemoryNetwork(self.guard)
        self.missing: set[CID] = set()
        self.stuck: set[CID] = set()
        self.broken: set[CID] = set()
        keys = sorted((Key(number) for number in range(count)), key=lambda key: key.peer_id)
        roles = [Role.FOLLOWER if number in followers else Role.TRUSTED for number in range(count)]
        self.members = MemoryMembers(
            [
                Member(key.peer_id, f"m{i}", role)
                for i, (key, role) in enumerate(zip(keys, roles, strict=True))
            ]
        )
        self.machines = [self._machine(i, key) for i, key in enumerate(keys)]

    @property
    def peers(self) -> list[str]:
        return [machine.peer for machine in self.machines]

    def context(self, number: int) -> ClusterContext:
        """What the parts of that member are given."""
        machine = self.machines[number]
        return ClusterContext(
            peer=machine.peer,
            name=machine.name,
            cluster_id=CLUSTER_ID,
            pinset=machine.view,
            members=self.members,
            calls=machine.port,
            settings=self.settings,
            now=lambda: wall_clock() + machine.clock_offset,
            guard=self.guard,
        )

    @asynccontextmanager
    async def member(self, number: int, pins: LocalPins | None = None) -> AsyncIterator[Cluster]:
        """Run that member, over its own pins or over those given; it is unreachable before and after."""
        machine = self.machines[number]

        async def capacity() -> Capacity:
            return Capacity(machine.free, 0, machine.quota)

        self.network.set_up(machine.peer, True)
        try:
            async with open_cluster(
                self.context(number),
                LocalNode(
                    version="1.1.6+test",
                    ipfs=lambda: IpfsInfo(f"Qm{machine.name}"),
                    pins=pins or machine.pins,
                    attempts=machine.attempts,
                    capacity=capacity,
                ),
                machine.port,
                machine.key,
            ) as cluster:
                yield cluster
        finally:
            machine.view.forget_handlers()
            machine.port.close()
            self.network.set_up(machine.peer, False)

    @asynccontextmanager
    async def all(self) -> AsyncIterator[list[Cluster]]:
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(self.member(n)) for n in range(len(self.machines))]

    def _machine(self, number: int, key: Key) -> Machine:
        return Machine(
            key=key,
            name=f"m{number}",
            view=PinsetView(self.shared, read_only=not self.members.is_trusted(key.peer_id)),
            pins=MemoryPins(self.missing, self.stuck, self.broken),
            attempts=MemoryAttempts(),
            port=self.network.port(key.peer_id),
        )


async def until(reached: Callable[[], Awaitable[bool]], seconds: float = 3600) -> None:
    """Let virtual time pass until that holds; TimeoutError when it does not within `seconds`."""
    async with asyncio.timeout(seconds):
        while not await reached():  # noqa: ASYNC110 - virtual time: polling costs nothing and needs no hook
            await asyncio.sleep(0.25)


async def settled_as(
    cluster: Cluster, cid: CID, status: Status, peers: Sequence[str], seconds: float = 3600
) -> None:
    """Let virtual time pass until exactly these members report that status of the CID."""

    async def reached() -> bool:
        infos = (await cluster.statuses.one(cid)).peers
        return {peer for peer, info in infos.items() if info.status is status} == set(peers)

    await until(reached, seconds)
