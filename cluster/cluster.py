"""What every face calls: pin and unpin, ask for statuses, look at members. Decisions live below it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from blockstore.cid import CID
from cluster.allocation.allocator import allocate
from cluster.allocation.pin_options import merged, settled, updated
from cluster.calls.client import MemberClient
from cluster.calls.codec import IpfsInfo, NodeInfo
from cluster.calls.global_status import GlobalStatus
from cluster.calls.holders import Holders
from cluster.common.address import Address
from cluster.common.keyed_lock import KeyedLock
from cluster.errors import (
    BadAddress,
    CannotRemove,
    NotPinned,
    QueueFull,
    ReadOnlyMember,
    UnknownMember,
    UntrustedPeer,
)
from cluster.interfaces import EVERY_PIN, Member, Membership, PinQuery, PinsetReader, PinsetWriter, Role
from cluster.metrics.metric_gossip import Ping
from cluster.metrics.metric_store import PING, Alert, Metric, MetricStore
from cluster.pin import GlobalPinInfo, Granted, Pin, PinMode, PinOptions, Status, Wish
from cluster.ports import CallFailed, PeerCalls, PeerOffline
from cluster.settings import ClusterSettings
from cluster.tracking.status import EVERY_STATUS
from cluster.tracking.tracker import Tracker


@dataclass(frozen=True, slots=True)
class MemberIdentity:
    """Who this node is, towards members. `ipfs` is read afresh: addresses come and go."""

    peer: str
    name: str
    version: str
    ipfs: Callable[[], IpfsInfo]


@dataclass(frozen=True, slots=True)
class ConnectGraph:
    """Who is connected to whom: cluster links by peer id, open-network links by IPFS id (members only)."""

    peer: str  # who drew it
    names: Mapping[str, str]
    cluster_links: Mapping[str, tuple[str, ...]]
    trusted: Mapping[str, bool]
    ipfs_ids: Mapping[str, str]  # by member
    ipfs_links: Mapping[str, tuple[str, ...]]


class Cluster:
    """Made by open_cluster. Every write is durable here when it returns."""

    def __init__(
        self,
        identity: MemberIdentity,
        reader: PinsetReader,
        writer: PinsetWriter,
        membership: Membership,
        calls: PeerCalls,
        remote: MemberClient,
        tracker: Tracker,
        metrics: MetricStore,
        settings: ClusterSettings,
        turns: KeyedLock,
        *,
        now: Callable[[], float],
    ) -> None:
        self.identity = identity
        self.holders = Holders(identity.peer, membership, calls, remote.holds)
        self.tracking = tracker
        self.membership = membership
        self._reader = reader
        self._writer = writer
        self._calls = calls
        self._remote = remote
        self._metrics = metrics
        self._settings = settings
        self._turns = turns
        self._now = now
        self._survey = GlobalStatus(reader, membership, tracker, remote, now)

    async def pin(
        self, cid: CID, options: PinOptions, *, priority_peers: Sequence[str] = (), size: int = 0
    ) -> Pin:
        """Add the pin, or replace all of its options. Raises what `grant` raises."""
        wish = Wish(options)
        return (await self.grant(cid, wish, priority_peers=priority_peers, size=size)).pin

    def check(self, wish: Wish) -> None:
        """Refuse what is granted for no CID, before the work that leads to one. Raises BadPinOptions."""
        if wish.named is None:
            settled(wish.options, None, self._settings, self._now())

    async def grant(
        self, cid: CID, wish: Wish, *, priority_peers: Sequence[str] = (), size: int = 0
    ) -> Granted:
        """Add the pin, or change the options that the wish names; it is fetched in the background.

        `priority_peers` hold the data already; `size` is the DAG's bytes, 0 = unknown. An identical pin is
        not written again, but retried here. Raises BadPinOptions, NotEnoughPeers, ReadOnlyMember, and
        NotPinned when `pin_update` names no pin.
        """
        self._check_writable()
        async with self._turns.of(cid):
            existing = await self._reader.get(cid)
            pin = await self._planned(cid, wish, existing, priority_peers, size)
            if existing is None or replace(pin, created=existing.created) != existing:
                await self._writer.put(pin)
                return Granted(pin, existing)
        with suppress(QueueFull):  # the pin is as durable as before, and its retry comes by itself
            await self.tracking.recover(cid)
        return Granted(existing, existing)

    async def unpin(self, cid: CID) -> Pin:
        """The pin as it was. Raises NotPinned, ReadOnlyMember."""
        self._check_writable()
        async with self._turns.of(cid):
            try:
                return await self._writer.remove(cid)
            except NotPinned:
                return await self._let_go(cid)

    async def _let_go(self, cid: CID) -> Pin:
        """A pin that only this node's own list has, after a loss. Raises NotPinned where that is not so."""
        local = await self.tracking.unlisted(cid)
        if local is None:
            raise NotPinned
        await self.tracking.forget(cid)
        mode = PinMode.RECURSIVE if local.recursive else PinMode.DIRECT
        return Pin(cid, PinOptions(mode=mode), (self.identity.peer,), self._now(), local.bytes)

    async def get_pin(self, cid: CID) -> Pin:
        """Raises NotPinned."""
        pin = await self._reader.get(cid)
        if pin is None:
            raise NotPinned
        return pin

    def pins(self, query: PinQuery = EVERY_PIN) -> AsyncIterator[Pin]:
        """In order of the CID's bytes, in pages."""
        return self._reader.pins(query)

    async def count(self, query: PinQuery = EVERY_PIN) -> int:
        return await self._reader.count(query)

    async def status(self, cid: CID, local: bool = False) -> GlobalPinInfo:
        """Every member's status of it; of a CID that is not pinned as well (`unpinned`)."""
        return await self._survey.status(cid, local)

    def statuses(
        self,
        wanted: frozenset[Status] = EVERY_STATUS,
        local: bool = False,
        cids: Sequence[CID] | None = None,
    ) -> AsyncIterator[GlobalPinInfo]:
        """In order of the CID's bytes, members with a wanted status; with `cids`, just those, unfiltered."""
        if cids is not None:
            return self._survey.statuses_of(cids, local)
        return self._survey.statuses(wanted, local)

    async def recover(self, cid: CID, local: bool = False) -> GlobalPinInfo:
        """Try again where it failed or went missing. Raises QueueFull."""
        return await self._survey.recover(cid, local)

    def recover_all(self, local: bool = False) -> AsyncIterator[GlobalPinInfo]:
        """What is tried again, as far as members have room for it."""
        return self._survey.recover_all(local)

    def id(self) -> NodeInfo:
        """This node."""
        members = self.membership.members()
        others = [member for member in members if member.peer != self.identity.peer]
        addresses = [self._calls.addresses(one.peer) or one.addresses for one in others]
        return NodeInfo(
            id=self.identity.peer,
            peer_name=self.identity.name,
            addresses=tuple(self._calls.addresses(self.identity.peer)),
            cluster_peers=tuple(sorted({self.identity.peer, *(member.peer for member in members)})),
            cluster_peer_addresses=tuple(address for known in addresses for address in known),
            connected=tuple(sorted(self._calls.peers() & {member.peer for member in others})),
            version=self.identity.version,
            ipfs=self.identity.ipfs(),
        )

    async def peers(self) -> AsyncIterator[NodeInfo]:
        """Every member as it answers; one that cannot be reached has `error` set."""
        asked = [asyncio.ensure_future(self.peer(member.peer)) for member in self.membership.members()]
        try:
            for answer in asyncio.as_completed(asked):
                yield await answer
        finally:
            for task in asked:
                task.cancel()

    async def peer(self, peer: str) -> NodeInfo:
        """One peer, member or not; `error` is set when it cannot be reached."""
        if peer == self.identity.peer:
            return self.id()
        try:
            return await self._remote.describe(peer)
        except (CallFailed, PeerOffline) as error:
            return NodeInfo(peer, self.peer_name(peer), error=str(error) or "did not answer")

    async def connect(self, address: str) -> Member:
        """Dial a member where it is now, and keep it connected: it then learns where all others are.

        Raises BadAddress, UntrustedPeer for whoever is no member, PeerOffline.
        """
        peer = Address.parse(address).peer
        if peer is None or peer == self.identity.peer:
            raise BadAddress(f'"{address}" must end in /p2p/ and the peer id of another member')
        self._check_known(peer)
        await self._calls.connect(address)
        return self._member(peer) or Member(peer, "", Role.FOLLOWER)

    def _check_known(self, peer: str) -> None:
        """Alone on its list, as after an old backup, a node takes any member's word for itself."""
        others = [one for one in self.membership.members() if one.peer != self.identity.peer]
        if others and self._member(peer) is None:
            raise UntrustedPeer(
                f"{peer} is not a member of this cluster: to let it in, `pinfold cluster invite` here, and"
                " `pinfold init --join TOKEN` there"
            )

    async def remove(self, name: str) -> Member:
        """Take a member, by peer id or by a name that only one has, off the list; who that was.

        Its pins are placed anew, and it stays out until it is invited again. Raises UnknownMember,
        ReadOnlyMember, CannotRemove.
        """
        member = self._member(name) or self._named(name)
        if member.peer == self.identity.peer:
            raise CannotRemove(f"{name!r} is this node itself: remove it at another member")
        await self.membership.remove(member.peer)
        return member

    def _named(self, name: str) -> Member:
        found = [member for member in self.membership.members() if member.name == name]
        if len(found) > 1:
            peers = ", ".join(member.peer for member in found)
            raise UnknownMember(f"{len(found)} members are named {name!r}: say which by its peer id: {peers}")
        if not found:
            raise UnknownMember(f"no member of this cluster is {name!r}: `pinfold peers` lists them")
        return found[0]

    def _member(self, peer: str) -> Member | None:
        return next((member for member in self.membership.members() if member.peer == peer), None)

    def peer_name(self, peer: str) -> str:
        """The name a member gave itself; empty for others."""
        member = self._member(peer)
        return member.name if member else ""

    def ping(self, peer: str) -> Ping:
        """What a member last said of itself: its name and its node on the open network."""
        metric = self._metrics.latest(peer, PING)
        return Ping.parse(metric.value) if metric is not None else Ping(self.peer_name(peer))

    def metric_names(self) -> list[str]:
        return self._metrics.names()

    def metrics(self, name: str) -> list[Metric]:
        """The latest valid one of each member, in order of peer; none for an unknown name."""
        return self._metrics.valid(self._now(), name)

    def alerts(self) -> list[Alert]:
        """Metrics that ran out, newest first."""
        return self._metrics.alerts()

    async def health_graph(self) -> ConnectGraph:
        """Asks every member; links to whoever does not answer are those that others report."""
        nodes = sorted([node async for node in self.peers()], key=lambda node: node.id)
        answered = [node for node in nodes if not node.error]
        ipfs_ids = {node.id: node.ipfs.id for node in answered if node.ipfs.id}
        known = frozenset(ipfs_ids.values())
        return ConnectGraph(
            peer=self.identity.peer,
            names={node.id: node.peer_name for node in nodes},
            cluster_links={node.id: node.connected for node in answered},
            trusted={node.id: self.membership.is_trusted(node.id) for node in nodes},
            ipfs_ids=ipfs_ids,
            ipfs_links={
                node.ipfs.id: tuple(sorted(node.ipfs.peers & known)) for node in answered if node.ipfs.id
            },
        )

    def place(
        self, options: PinOptions, *, current: Sequence[str] = (), priority: Sequence[str] = (), size: int = 0
    ) -> tuple[str, ...]:
        """Members for a pin with these (settled) options, by today's metrics. Raises NotEnoughPeers."""
        return allocate(
            options,
            members=[member.peer for member in self.membership.members()],
            metrics=self._metrics.valid(self._now()),
            now=self._now(),
            allocate_by=self._settings.allocate_by,
            size=size,
            current=current,
            priority=priority,
        )

    async def _planned(
        self, cid: CID, wish: Wish, existing: Pin | None, priority: Sequence[str], size: int
    ) -> Pin:
        now = self._now()
        if wish.options.pin_update is not None:
            source = await self.get_pin(wish.options.pin_update)
            final = settled(updated(wish.options, source), existing, self._settings, now)
            return Pin(cid, final, source.allocations, now, size)
        final = settled(merged(wish, existing, now), existing, self._settings, now)
        size = max(size, existing.size if existing else 0)
        current = existing.allocations if existing else ()
        return Pin(cid, final, self.place(final, current=current, priority=priority, size=size), now, size)

    def _check_writable(self) -> None:
        """Followers hear it first; whoever is no member yet hears from the writer why."""
        us = next((one for one in self.membership.members() if one.peer == self.identity.peer), None)
        if us is not None and us.role is Role.FOLLOWER:
            raise ReadOnlyMember(
                "this node follows the cluster and cannot change pins: do that at a trusted member"
            )
