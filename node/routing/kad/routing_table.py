"""Which servers of the DHT are known: buckets by distance from this node. Pure: events and times in.

A bucket holds peers that share that many leading bits with our own key, BUCKET of them at most; the last one
all that are nearer. A peer that answers stays, one that failed goes for the next that comes, and one range of
addresses has few places, so that no single operator surrounds this node.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nsmallest

from node.routing.kad.address_group import groups_of
from node.routing.kad.keys import kad_key, peer_key, shared_bits
from node.routing.router import Provider

BUCKET = 20
_CROWD = 3  # places of one range of addresses, in all buckets together
_NEAR_CROWD = 2  # and in one of them
_STALE = 3600.0  # seconds without an answer after which a peer makes room


@dataclass(slots=True)
class _Entry:
    peer: Provider
    groups: frozenset[str]
    key: int
    bucket: int
    heard: float
    failures: int = 0


class RoutingTable:
    """Of the peer `us`."""

    def __init__(self, us: str) -> None:
        self._us = us
        self._key = peer_key(us)
        self._entries: dict[str, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, peer: object) -> bool:
        return peer in self._entries

    def peers(self) -> tuple[Provider, ...]:
        return tuple(entry.peer for entry in self._entries.values())

    def sizes(self) -> dict[int, int]:
        """Peers by bucket."""
        sizes: dict[int, int] = {}
        for entry in self._entries.values():
            sizes[entry.bucket] = sizes.get(entry.bucket, 0) + 1
        return sizes

    def heard(self, peer: Provider, now: float) -> bool:
        """That peer has answered; whether it is in the table now."""
        known = self._entries.get(peer.peer)
        if known is not None:
            known.heard, known.failures = now, 0
            if peer.addresses:
                known.peer, known.groups = peer, groups_of(peer)
            return True
        if peer.peer == self._us:
            return False
        return self._add(peer, now)

    def failed(self, peer: str) -> None:
        """It could not be asked, or gave no proper answer; the second time it goes."""
        entry = self._entries.get(peer)
        if entry is not None:
            entry.failures += 1
            if entry.failures > 1:
                del self._entries[peer]

    def nearest(self, target: int, count: int = BUCKET) -> list[Provider]:
        """Of all that are known, nearest first."""
        found = nsmallest(count, self._entries.values(), key=lambda one: one.key ^ target)
        return [entry.peer for entry in found]

    def nearest_to(self, name: bytes, count: int = BUCKET) -> list[Provider]:
        """As `nearest`, to the key of that name."""
        return self.nearest(kad_key(name), count)

    def _add(self, peer: Provider, now: float) -> bool:
        key, groups = peer_key(peer.peer), groups_of(peer)
        bucket = shared_bits(self._key, key)
        beside = [entry for entry in self._entries.values() if entry.bucket == bucket]
        if _is_crowded(groups, self._entries.values(), _CROWD) or _is_crowded(groups, beside, _NEAR_CROWD):
            return False
        if len(beside) >= BUCKET:
            leaving = min(beside, key=lambda one: (-one.failures, one.heard))
            if not leaving.failures and now - leaving.heard < _STALE:
                return False
            del self._entries[leaving.peer.peer]
        self._entries[peer.peer] = _Entry(peer, groups, key, bucket, now)
        return True


def _is_crowded(groups: frozenset[str], entries: Iterable[_Entry], most: int) -> bool:
    found = tuple(entries)
    return any(sum(group in one.groups for one in found) >= most for group in groups)
