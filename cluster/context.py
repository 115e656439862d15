"""What travels together: who this member is, and the parts of the cluster that its decisions rest on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from blockstore.common.guard import Guard
from cluster.interfaces import Membership, Pinset
from cluster.ports import PeerCalls
from cluster.settings import ClusterSettings


@dataclass(frozen=True, slots=True)
class ClusterContext:
    """One for each running member; every room of the cluster is given the same.

    `now` is the wall clock, in seconds since 1970. `guard` counts what nothing else expects: a bug in a loop
    ends one turn of it.
    """

    peer: str  # this member's peer id
    name: str
    cluster_id: bytes  # 32, which every signature covers
    pinset: Pinset
    members: Membership
    calls: PeerCalls
    settings: ClusterSettings
    now: Callable[[], float]
    guard: Guard
