"""What a member says of itself, and who is connected to whom: values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IpfsInfo:
    """A member's node on the open network. `peers` are those connected there now.

    `provides`: it tells the DHT what it has. Other members hear that by its pings, not by calls.
    """

    id: str = ""
    addresses: tuple[str, ...] = ()
    peers: frozenset[str] = frozenset()
    provides: bool = False


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """One member as it describes itself; with `error` set it did not answer and only `id` is sure."""

    id: str
    peer_name: str = ""
    addresses: tuple[str, ...] = ()  # multiaddresses, each with /p2p/
    cluster_peers: tuple[str, ...] = ()  # members it knows, itself included, sorted
    cluster_peer_addresses: tuple[str, ...] = ()  # of the others
    connected: tuple[str, ...] = ()  # members it is connected to, sorted
    version: str = ""
    ipfs: IpfsInfo = IpfsInfo()
    error: str = ""


@dataclass(frozen=True, slots=True)
class ConnectGraph:
    """Who is connected to whom: cluster links by peer id, open-network links by IPFS id (members only)."""

    peer: str  # who drew it
    names: Mapping[str, str]
    cluster_links: Mapping[str, tuple[str, ...]]
    trusted: Mapping[str, bool]
    ipfs_ids: Mapping[str, str]  # by member
    ipfs_links: Mapping[str, tuple[str, ...]]
