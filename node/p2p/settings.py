"""What one network is: frozen values, made by the composition root."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from node.version import VERSION


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """One host: where it listens, who may join, what it keeps up. Times are seconds."""

    name: str  # for logs and messages: "swarm", "cluster"
    listen: tuple[str, ...] = ()  # multiaddresses without /p2p/; port 0 = any free one
    port_setting: str = "swarm.port"  # named in the error when the port is taken
    psk: bytes | None = field(default=None, repr=False)  # 32 bytes: a private network
    max_connections: int = 96  # accepted ones; those that we dial are not refused
    keep: tuple[str, ...] = ()  # multiaddresses with /p2p/ to stay connected to
    peer_file: Path | None = None  # where addresses of peers are kept over restarts
    gossip: bool = False
    mdns: bool = False  # announce and find peers on the local network
    fast_noise: bool = True  # False: py-libp2p's own session
    fast_yamux: bool = True  # False: py-libp2p's own muxer
    ping_interval: float = 10.0  # silence after which a peer is asked for a sign of life
    ping_timeout: float = 10.0  # and how long it has to give one
    join_timeout: float = 20.0  # what a peer that does not belong here has to change that
    linger: float = 5.0  # after our last word on a stream, until the peer has had its own
    agent: str = f"pinfold/{VERSION}"
