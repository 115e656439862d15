"""The Rabin chunker that Kubo uses (whyrusleeping/chunker): fingerprints of 16 bytes over one polynomial.

Each chunk starts a fresh window, but the shortest chunk is at least one window long, so a fingerprint that
may end a chunk always depends on the 16 bytes before it and on nothing else.
"""

from __future__ import annotations

from functools import cache

from blockstore.unixfs.chunking.rolling import CutRule, RollingChunker, WindowHash

POLYNOMIAL = 17437180132763653  # irreducible over GF(2), degree 53
WINDOW = 16
_DEGREE = POLYNOMIAL.bit_length() - 1


class RabinChunker(RollingChunker):
    """Chunks of `low` to `high` bytes, about `low` plus a power of two near `average` long."""

    def __init__(self, low: int, average: int, high: int) -> None:
        super().__init__(_rule(low, average, high))


@cache
def _rule(low: int, average: int, high: int) -> CutRule:
    mask = (1 << average.bit_length() - 1) - 1
    return CutRule(WindowHash(_tables(), mask), low, high)


@cache
def _tables() -> list[list[int]]:
    """What each byte value gives to the fingerprint, by how many bytes before the window's end it stands."""
    return [[_reduce(byte << 8 * back) for byte in range(256)] for back in range(WINDOW)]


def _reduce(value: int) -> int:
    """The remainder of a polynomial over GF(2), written as the bits of an integer."""
    while (excess := value.bit_length() - 1 - _DEGREE) >= 0:
        value ^= POLYNOMIAL << excess
    return value
