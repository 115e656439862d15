"""The parts of an open node, as one frozen value: everything that a face may call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bitswap.statistics import PeerStatistics, Statistics
from blockstore.blocks import Blocks, BlockSource
from blockstore.cid import CID
from blockstore.common.guard import Guard
from blockstore.common.way_count import WayCount
from blockstore.disk.staging import Staging
from blockstore.fetch_progress import FetchesInFlight
from blockstore.upkeep import LocalStore
from cluster.calls.member_gc import MemberGc
from cluster.cluster import Cluster
from cluster.interfaces import Role
from cluster.members.invite import Invite
from cluster.replication.replicated_pinset import ReplicatedPinset
from node.access.credentials import Credentials
from node.audit.audit_log import AuditLog
from node.bandwidth import Bandwidth
from node.config.sections import Config
from node.datadir.keystore import Keystore
from node.denylist.denylist import Denylist
from node.events.feed import EventFeed
from node.files.handed_files import HandedFiles
from node.jobs.jobs import Jobs
from node.names.names import Names
from node.names.publishing import Publishing
from node.pinning.service import PinningService
from node.providing.providing import Providing
from node.routing.router import Router
from node.services.add import AddService
from node.services.following import Following
from node.services.gc import GarbageCollection
from node.services.scrub import Scrub
from node.services.store_check import StoreCheck
from node.webhooks.webhook import Webhook


class Swarm(Protocol):
    """The open network, as the faces see it."""

    @property
    def self_id(self) -> str: ...

    def peers(self) -> frozenset[str]: ...

    def addresses(self, peer: str) -> Sequence[str]:
        """Multiaddresses with /p2p/; our own for our own id."""
        ...

    async def connect(self, address: str) -> str:
        """Dial a multiaddress with /p2p/, and stay connected to that peer; its id. Raises PeerOffline."""
        ...

    async def visit_briefly(self, address: str) -> str:
        """As `visit`, until the connection is of no use any more."""
        ...

    async def visit(self, address: str) -> str:
        """As `connect`, but it is not kept connected. Raises PeerOffline."""
        ...

    async def disconnect(self, peer: str) -> None:
        """End every connection to that peer, and keep none up."""
        ...

    async def ping(self, peer: str) -> float:
        """A round trip to a connected peer, in seconds. Raises PeerOffline."""
        ...

    def keep(self, address: str) -> str:
        """Stay connected to the peer of a multiaddress with /p2p/; its id. Raises BadAddress."""
        ...

    def kept(self) -> frozenset[str]:
        """Peers that are kept connected because a user or a setting named them."""
        ...

    def let_go(self, peer: str) -> None:
        """Do not keep that peer connected; its connection stays."""
        ...

    async def remember(self) -> None:
        """Which peers are kept is on the disk when this returns. Raises StorageFull."""
        ...


class TrafficTotals(Protocol):
    """Bytes of messages since the start, and bytes a second lately."""

    @property
    def total_in(self) -> int: ...

    @property
    def total_out(self) -> int: ...

    @property
    def rate_in(self) -> float: ...

    @property
    def rate_out(self) -> float: ...


TrafficReader = Callable[[], Mapping[str, TrafficTotals]]
"""What goes between members, by protocol."""


class BitswapState(Protocol):
    """Bitswap on one network, as the faces see it."""

    def statistics(self) -> Statistics: ...

    def ledger(self, peer: str) -> PeerStatistics:
        """Of one peer, connected or not."""
        ...

    def ledgers(self) -> Sequence[PeerStatistics]:
        """Of the peers that are connected, and of those that something was exchanged with."""
        ...

    def wantlist(self, peer: str | None = None) -> Sequence[CID]:
        """What we want, or what that peer wants of us."""
        ...


Bitswaps = Mapping[str, BitswapState]
"""By network: cluster, and swarm where that is on."""


class BulkState(Protocol):
    """Bulk between members, as the faces see it."""

    def reached(self) -> frozenset[str]:
        """Members that blocks are fetched from in bulk."""
        ...

    def refused(self) -> Mapping[str, int]:
        """How often something was refused, by reason."""
        ...


class Inviter(Protocol):
    """Makes join tokens; the text of an Invite is the token."""

    async def __call__(self, role: Role, lifetime: float) -> Invite:
        """`lifetime` in seconds. Raises ReadOnlyMember."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """`blocks` is the store with every way to fetch what it lacks, `content` the same for one root's DAG.

    `folder` is the data folder. `kept` is like `content`, of what the store has: nothing is fetched. Both
    let a caller see what is in flight. `router` says who has what, `providing` tells the DHT of it, where
    that is on. `swarm` is None while the open network is off, `bulk` where the node is offline.
    """

    config: Config
    folder: Path
    peer: str
    store: LocalStore
    blocks: Blocks
    staging: Staging
    content: Callable[[CID, FetchesInFlight], BlockSource]
    kept: Callable[[CID, FetchesInFlight], BlockSource]
    add_service: AddService
    handed_files: HandedFiles
    garbage_collection: GarbageCollection
    member_gc: MemberGc
    store_check: StoreCheck
    scrub: Scrub
    cluster: Cluster
    pinset: ReplicatedPinset
    invite: Inviter
    swarm: Swarm | None
    traffic: TrafficReader
    bandwidth: Bandwidth
    ways: Mapping[str, WayCount]
    bitswap: Bitswaps
    bulk: BulkState | None
    names: Names
    publishing: Publishing
    keys: Keystore
    following: Following
    router: Router
    members_router: Router
    providing: Providing | None
    denylist: Denylist
    events: EventFeed
    webhooks: Sequence[Webhook]
    guard: Guard
    jobs: Jobs
    pinning: PinningService
    credentials: Credentials
    audit: AuditLog
