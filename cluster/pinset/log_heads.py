"""How far each author's log is applied here, and a running digest of that, to compare with other members.

The digest is an additive set hash (Clarke et al., "Incremental Multiset Hash Functions", 2003): the sum of
the SHA-256 of every head, modulo 2^256. It costs one hash a change, however many logs there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

from cluster.common import wire
from cluster.pinset.batch import AuthorLog

NO_HEADS: Mapping[AuthorLog, int] = MappingProxyType({})
NO_HASHES: Mapping[AuthorLog, bytes] = MappingProxyType({})
_MODULUS = 1 << 256


class LogHeads:
    """The last applied batch of every log."""

    def __init__(self, heads: Mapping[AuthorLog, int], hashes: Mapping[AuthorLog, bytes] = NO_HASHES) -> None:
        self._heads: dict[AuthorLog, int] = {}
        self._hashes: dict[AuthorLog, bytes] = {}
        self._sum = 0
        self.advance(heads, hashes)

    def of(self, log: AuthorLog) -> int:
        """0 before the first."""
        return self._heads.get(log, 0)

    def hash_of(self, log: AuthorLog) -> bytes:
        """Of the batch at its head; empty before the first, and where no version kept it."""
        return self._hashes.get(log, b"")

    def all(self) -> Mapping[AuthorLog, int]:
        """Every log that is known here."""
        return MappingProxyType(self._heads)

    def advance(self, heads: Mapping[AuthorLog, int], hashes: Mapping[AuthorLog, bytes] = NO_HASHES) -> None:
        """These logs are applied so far now, up to the batches of these hashes."""
        for log, sequence in heads.items():
            self._sum += _hash(log, sequence) - _hash(log, self.of(log))
            self._heads[log] = sequence
            self._hashes[log] = hashes.get(log, b"")
        self._sum %= _MODULUS

    def digest(self) -> bytes:
        """32 bytes, equal on two members exactly when they have the same batches."""
        return self._sum.to_bytes(32)


def _hash(log: AuthorLog, sequence: int) -> int:
    """0 of a log that has no batch."""
    if not sequence:
        return 0
    return int.from_bytes(hashlib.sha256(wire.encode([log.author, log.epoch, sequence])).digest())
