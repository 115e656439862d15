"""The parts of an open node, as one frozen value: everything that a face may call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from blockstore.cid import CID
from blockstore.guard import Guard
from blockstore.service import Blocks
from blockstore.sqlite import SqliteBlockstore
from blockstore.staging import Staging
from cluster.cluster import Cluster
from cluster.invite import Invite
from cluster.replication import ReplicatedPinset
from cluster.state import Role
from node.adding import Adding
from node.collecting import Collecting
from node.config import Config
from node.denylist.denylist import Denylist
from node.names.names import Names
from node.retrieval.patient import Source
from node.secret import Secret


class Swarm(Protocol):
    """The open network, as the faces see it."""

    @property
    def self_id(self) -> str: ...

    def peers(self) -> frozenset[str]: ...

    def addresses(self, peer: str) -> Sequence[str]:
        """Multiaddresses with /p2p/; our own for our own id."""
        ...

    async def connect(self, address: str) -> str:
        """Dial a multiaddress with /p2p/; its peer id. Raises PeerOffline."""
        ...


class Inviter(Protocol):
    """Makes join tokens; the text of an Invite is the token."""

    async def __call__(self, role: Role, lifetime: float) -> Invite:
        """`lifetime` in seconds. Raises ReadOnlyMember."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """`blocks` is the store with every way to fetch what it lacks, `content` the same for one root's DAG.

    `kept` is like `content`, of what the store has: nothing is fetched. `swarm` is None while the open
    network is off.
    """

    config: Config
    peer: str
    store: SqliteBlockstore
    blocks: Blocks
    staging: Staging
    content: Callable[[CID], Source]
    kept: Callable[[CID], Source]
    adding: Adding
    collecting: Collecting
    cluster: Cluster
    pinset: ReplicatedPinset
    invite: Inviter
    swarm: Swarm | None
    names: Names
    denylist: Denylist
    guard: Guard
    secret: Secret
