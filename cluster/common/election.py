"""Election without a vote: a thing that one member does for all is done by the one whose hash is closest.

As in ipfs-cluster: closest is the XOR distance between BLAKE2b-256 of the CID's bytes and of the peer id.
Members that see the same live peers agree without asking each other; when they do not, the thing is done
twice, harmlessly.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b

from blockstore.cid import CID


def elected(cid: CID, peers: Collection[str]) -> str | None:
    """The one of `peers` to act for that CID; None when there are none."""
    target = _point(bytes(cid))
    return min(peers, key=lambda peer: (_point(peer.encode()) ^ target, peer), default=None)


def _point(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=32).digest(), "big")
