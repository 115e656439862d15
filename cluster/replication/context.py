"""What the parts of replication share: this member's replica and member list, and how others are reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from blockstore.common.guard import Guard
from cluster.common.clock_skew import ClockSkews
from cluster.common.local_member import LocalMember
from cluster.errors import UntrustedPeer
from cluster.members.member_list import MemberList
from cluster.pinset.change_feed import ChangeFeed
from cluster.pinset.log.batch import AuthorLog
from cluster.pinset.replica import Replica
from cluster.pinset.tables.store import PinsetStore
from cluster.ports import PeerCalls
from cluster.replication.handler_gate import HandlerGate
from cluster.replication.member_progress import MemberProgress
from cluster.replication.quota_pauses import QuotaPauses
from cluster.replication.refused_logs import RefusedLogs


@dataclass(slots=True)
class ReplicationCounts:
    """Since this node opened its pinset."""

    written: int = 0
    applied: int = 0
    refused: int = 0  # forged or malformed
    untrusted: int = 0  # by peers that may not write, as far as is known here
    repaired: int = 0  # documents made again
    forked: int = 0  # logs in which two batches under one number were found


@dataclass(frozen=True, slots=True)
class ReplicationContext:
    """One for each open pinset. `now`: the wall clock, in seconds since 1970."""

    local: LocalMember
    store: PinsetStore
    replica: Replica
    members: MemberList
    calls: PeerCalls
    changes: ChangeFeed
    gate: HandlerGate
    guard: Guard
    now: Callable[[], float]
    pauses: QuotaPauses
    counts: ReplicationCounts = field(default_factory=ReplicationCounts)
    skews: ClockSkews = field(default_factory=ClockSkews)
    progress: MemberProgress = field(default_factory=MemberProgress)
    refusals: RefusedLogs = field(default_factory=RefusedLogs)

    def holds_back(self, log: AuthorLog) -> bool:
        """Whether that log is not even to be asked for now: its author holds too much, or it was refused."""
        return self.pauses.holds_back(log) or self.refusals.holds_back(log)

    def check_member(self, peer: str) -> None:
        """Raises UntrustedPeer."""
        if not self.members.is_member(peer):
            raise UntrustedPeer(f"{peer} is not a member of this cluster")
