"""A region of the key space: its servers, found by few look-ups, and which of them keep which name. Pure."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest

from node.routing.kad.keys import BITS, kad_key, peer_key, shared_bits
from node.routing.router import Provider

COPIES = 20
"""Servers that keep the news of one name, and that a look-up finds."""

SPACE = 1 << BITS
"""Keys are below that."""

_MOST_GUESSED = 18  # leading bits that a name is guessed for: a quarter of a million hashes


@dataclass(frozen=True, slots=True)
class Prefix:
    """The keys that begin with the first `bits` bits of `low`, which is the first of them."""

    low: int
    bits: int

    @classmethod
    def of(cls, key: int, bits: int) -> Prefix:
        return cls(key >> (BITS - bits) << (BITS - bits), bits)

    @property
    def high(self) -> int:
        """The key behind the last one."""
        return self.low + (1 << (BITS - self.bits))

    @property
    def parent(self) -> Prefix:
        return Prefix.of(self.low, self.bits - 1)

    @property
    def sibling(self) -> Prefix:
        """The other half of the parent."""
        return Prefix(self.low ^ (1 << (BITS - self.bits)), self.bits)

    def without(self, inner: Prefix) -> list[Prefix]:
        """What is left of this when a prefix within it, or around it, is taken away."""
        return [Prefix.of(inner.low, bits).sibling for bits in range(self.bits + 1, inner.bits + 1)]

    def some_name(self) -> bytes:
        """Bytes whose key lies there, or near it where the prefix is long."""
        bits = min(self.bits, _MOST_GUESSED)
        while True:
            name = os.urandom(32)
            if (kad_key(name) ^ self.low) >> (BITS - bits) == 0:
                return name


def covered(key: int, nearest: Sequence[Provider]) -> Prefix:
    """Where all servers are known after a look-up of that key gave its COPIES nearest."""
    return Prefix.of(key, min(shared_bits(key, peer_key(server.peer)) for server in nearest) + 1)


def by_key(servers: Iterable[Provider]) -> dict[int, Provider]:
    return {peer_key(server.peer): server for server in servers}


@dataclass(frozen=True, slots=True)
class Region:
    """Keys from `low` to below `high`. `servers`, by key, are all that lie there, and some beside."""

    low: int
    high: int
    servers: Mapping[int, Provider]

    def keepers(self, key: int) -> list[int]:
        """Keys of the servers nearest to that one."""
        return nsmallest(COPIES, self.servers, key=lambda server: server ^ key)

    def shares(self, keys: Iterable[int]) -> dict[int, list[int]]:
        """Server -> those of the keys that it is to keep."""
        shares: dict[int, list[int]] = {}
        for key in keys:
            for server in self.keepers(key):
                shares.setdefault(server, []).append(key)
        return shares
