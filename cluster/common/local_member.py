"""This node as one that writes in a cluster: the cluster it is of, its key, its clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random, SystemRandom

from cluster.common.cooperative import Slices, TimeSlice
from cluster.common.genesis import Genesis
from cluster.common.hybrid_clock import HybridClock
from cluster.ports import Signer


@dataclass(frozen=True, slots=True)
class LocalMember:
    """What the pinset and the member list sign and stamp with; a member of the cluster, or about to be one.

    Epochs and pauses are drawn by `chance`; `slices` cut long work.
    """

    genesis: Genesis
    signer: Signer
    clock: HybridClock
    chance: Random = field(default_factory=SystemRandom)
    slices: Slices = TimeSlice

    @property
    def peer(self) -> str:
        return self.signer.peer_id

    @property
    def cluster_id(self) -> bytes:
        return self.genesis.cluster_id
