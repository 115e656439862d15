"""What names need of the node around them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from blockstore.common.guard import Guard
from cluster.interfaces import Membership
from cluster.ports import PeerCalls
from node.names.record_routing import RecordRoute


@dataclass(frozen=True, slots=True)
class NameCluster:
    """The cluster. `us` is this node, `live` are the members that gave a sign of life lately."""

    us: str
    calls: PeerCalls
    members: Membership
    live: Callable[[], Collection[str]]


@dataclass(frozen=True, slots=True)
class NameWorld:
    """What is beyond the cluster. Offline, the DNS is asked only where a resolver is set."""

    routing: Sequence[RecordRoute] = ()
    offline: bool = False
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    now: Callable[[], float] = time.time
    guard: Guard = field(default_factory=Guard)
