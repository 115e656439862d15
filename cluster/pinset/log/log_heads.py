"""How far each author's log is applied here, and a running digest of that, to compare with other members.

The digest is an additive set hash (Clarke et al., "Incremental Multiset Hash Functions", 2003): the sum of
the SHA-256 of every head, modulo 2^256. It costs one hash a change, however many logs there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

from cluster.common import wire
from cluster.pinset.log.batch import AuthorLog
from cluster.pinset.log.fork import Forks

NO_HEADS: Mapping[AuthorLog, int] = MappingProxyType({})
NO_HASHES: Mapping[AuthorLog, bytes] = MappingProxyType({})
_MODULUS = 1 << 256


class LogHeads:
    """The last applied batch of every log."""

    def __init__(self, heads: Mapping[AuthorLog, int], hashes: Mapping[AuthorLog, bytes] = NO_HASHES) -> None:
        self._heads: dict[AuthorLog, int] = {}
        self._hashes: dict[AuthorLog, bytes] = {}
        self._forks: dict[AuthorLog, int] = {}
        self._contained: frozenset[AuthorLog] = frozenset()
        self.void: frozenset[int] = frozenset()  # the clients of forked logs
        self._sum = 0
        self.advance(heads, hashes)

    def of(self, log: AuthorLog) -> int:
        """0 before the first."""
        return self._heads.get(log, 0)

    def hash_of(self, log: AuthorLog) -> bytes:
        """Of the batch at its head; empty before the first, and where no version kept it."""
        return self._hashes.get(log, b"")

    def clients(self, author: str) -> set[int]:
        """The Yjs client ids of an author's logs that are known here."""
        return {log.client for log in self._heads if log.author == author}

    def all(self) -> Mapping[AuthorLog, int]:
        """Every log that is known here."""
        return MappingProxyType(self._heads)

    def advance(self, heads: Mapping[AuthorLog, int], hashes: Mapping[AuthorLog, bytes] = NO_HASHES) -> None:
        """These logs are applied so far now, up to the batches of these hashes."""
        for log, sequence in heads.items():
            self._sum -= self._share(log)
            self._heads[log] = sequence
            self._hashes[log] = hashes.get(log, b"")
            self._sum += self._share(log)
        self._sum %= _MODULUS

    def fork(self, log: AuthorLog, sequence: int, *, contained: bool = False) -> None:
        """From that number on the log is forked; once it is contained, what is here of it from there on is no
        difference any more.
        """
        self._sum -= self._share(log)
        self._forks[log] = sequence
        self._contained = self._contained - {log} | ({log} if contained else set())
        self._sum = (self._sum + self._share(log)) % _MODULUS
        self.void = frozenset(one.client for one in self._forks)

    @property
    def forks(self) -> Forks:
        return MappingProxyType(self._forks)

    def uncontained(self) -> list[AuthorLog]:
        """Forked logs whose items are in documents still."""
        return [log for log in self._forks if log not in self._contained]

    def digest(self) -> bytes:
        """32 bytes, equal on two members exactly when they have the same batches and know the same forks."""
        return self._sum.to_bytes(32)

    def _share(self, log: AuthorLog) -> int:
        """What that log adds to the sum."""
        fork = self._forks.get(log)
        if fork is None or log not in self._contained:
            return _hash(log, self.of(log))
        return _hash(log, min(self.of(log), fork - 1)) + _hash(log, fork, "fork")


def _hash(log: AuthorLog, sequence: int, *forked: wire.Wire) -> int:
    """0 of a log that has no batch."""
    if not sequence:
        return 0
    return int.from_bytes(hashlib.sha256(wire.encode([log.author, log.epoch, sequence, *forked])).digest())
