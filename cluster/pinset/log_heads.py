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
_MODULUS = 1 << 256


class LogHeads:
    """The last applied batch of every log."""

    def __init__(self, heads: Mapping[AuthorLog, int]) -> None:
        self._heads: dict[AuthorLog, int] = {}
        self._sum = 0
        self.advance(heads)

    def of(self, log: AuthorLog) -> int:
        """0 before the first."""
        return self._heads.get(log, 0)

    def advance(self, heads: Mapping[AuthorLog, int]) -> None:
        """These logs are applied so far now."""
        for log, sequence in heads.items():
            self._sum += _hash(log, sequence) - _hash(log, self.of(log))
            self._heads[log] = sequence
        self._sum %= _MODULUS

    def digest(self) -> bytes:
        """32 bytes, equal on two members exactly when they have the same batches."""
        return self._sum.to_bytes(32)


def _hash(log: AuthorLog, sequence: int) -> int:
    """0 of a log that has no batch."""
    if not sequence:
        return 0
    return int.from_bytes(hashlib.sha256(wire.encode([log.author, log.epoch, sequence])).digest())
