"""What can go wrong on a connection. Below the seam only; `network.py` translates to the ports' errors."""

from __future__ import annotations

import cluster.errors
from cluster.ports import PeerOffline
from node.errors import NodeError


class NetworkError(NodeError):
    """Every error of this folder that a remote peer, an address or a wire can cause."""


class ListenAddressInUse(NetworkError):
    """Another program listens there already."""

    def __init__(self, address: str, setting: str) -> None:
        super().__init__(
            f"{address}: the port is in use by another program;"
            f" stop that, or choose another port with {setting} (0 = any free one)"
        )


class UndialableAddress(NetworkError, PeerOffline, cluster.errors.BadAddress):
    """A multiaddress that this node cannot use, so no peer can be reached at it."""


class DialFailed(NetworkError):
    """No connection came about; says why."""


class OtherPeerAnswered(DialFailed):
    """A connection came about, to another peer than the one that was dialled."""


class ConnectionLost(NetworkError):
    """The connection is gone."""


class StreamLost(NetworkError):
    """The stream was reset or closed, by either side."""


class NotSpoken(NetworkError):
    """The peer speaks none of these protocols."""


class ProtocolViolation(NetworkError):
    """The peer sent what no conforming peer sends."""
