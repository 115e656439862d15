"""What a host is made of, anew after each death: the things that outlive it."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from blockstore.common.throttle import Throttle
from node.datadir.identity import Identity
from node.p2p.admission.gate import Gate
from node.p2p.settings import NetworkSettings


@dataclass(frozen=True, slots=True)
class HostConfig:
    """`sockets` listen already, and stay open while one host follows another."""

    identity: Identity
    settings: NetworkSettings
    sockets: Sequence[socket.socket]
    gate: Gate
    down: Throttle = field(default_factory=Throttle)  # what messages with blocks pass
