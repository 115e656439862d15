"""Provider records that other peers gave this node to keep, in memory: bounded, and each for a time."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass

from node.routing.router import Provider

LIFETIME = 48 * 3600.0
"""Seconds (libp2p specs: kad-dht, "Content provider advertisement")."""

MOST = 50_000
"""Records of all keys; the oldest goes."""

OF_ONE_PEER = 5_000
OF_ONE_KEY = 256


@dataclass(frozen=True, slots=True)
class _Kept:
    provider: Provider
    until: float


class ProviderStore:
    """Pure: records and times in."""

    def __init__(self) -> None:
        self._records: OrderedDict[tuple[bytes, str], _Kept] = OrderedDict()  # the oldest first
        self._of_key: dict[bytes, dict[str, None]] = {}
        self._of_peer: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._records)

    def add(self, key: bytes, provider: Provider, now: float) -> bool:
        """Keep, or renew, that record; False where that peer, or that key, has as many as it may have."""
        self._drop_expired(now)
        name = (key, provider.peer)
        if name in self._records:
            self._drop(name)
        elif self._of_peer[provider.peer] >= OF_ONE_PEER or len(self._of_key.get(key, ())) >= OF_ONE_KEY:
            return False
        elif len(self._records) >= MOST:
            self._drop(next(iter(self._records)))
        self._records[name] = _Kept(provider, now + LIFETIME)
        self._of_key.setdefault(key, {})[provider.peer] = None
        self._of_peer[provider.peer] += 1
        return True

    def of(self, key: bytes, now: float) -> list[Provider]:
        """Those of that key that have not expired, the newest last."""
        self._drop_expired(now)
        return [self._records[key, peer].provider for peer in self._of_key.get(key, ())]

    def _drop_expired(self, now: float) -> None:
        while self._records and next(iter(self._records.values())).until <= now:
            self._drop(next(iter(self._records)))

    def _drop(self, name: tuple[bytes, str]) -> None:
        key, peer = name
        del self._records[name]
        del self._of_key[key][peer]
        if not self._of_key[key]:
            del self._of_key[key]
        self._of_peer[peer] -= 1
        if not self._of_peer[peer]:
            del self._of_peer[peer]
