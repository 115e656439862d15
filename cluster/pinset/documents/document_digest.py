"""The digest of a document: what members compare, put together from its parts by adding.

An additive set hash (Clarke et al., "Incremental Multiset Hash Functions", 2003): the sum, modulo 2^80, of a
hash of every entry, every client's clock and every range of deleted items. So a new entry changes it without
the others being looked at. It is there to find damage: forging a sum keeps a damaged document as it is, and
gains nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

_BYTES = 10
MODULUS = 1 << (8 * _BYTES)


def of_entry(key: str, value: bytes) -> int:
    """Of an entry; its key names the CID and the client, and holds no NUL."""
    return _hash(b"e" + key.encode() + b"\0" + value)


def of_clocks(clocks: Mapping[int, int]) -> int:
    """Of how many items of each client there are; a client without any counts nothing."""
    return sum(of_clock(client, clock) for client, clock in clocks.items())


def of_clock(client: int, clock: int) -> int:
    """Of how many items of a client there are; of none it is nothing."""
    return _hash(b"c%d %d" % (client, clock)) if clock else 0


def of_deletions(client: int, ranges: Iterable[tuple[int, int]]) -> int:
    """Of a client's deleted items [start, end), joined as far as they can be."""
    return sum(_hash(b"d%d %d %d" % (client, *one)) for one in ranges)


def halves(digest: int) -> tuple[int, int]:
    """A digest as two integers of 40 bits: SQLite sums 2^20 of them without overflow."""
    return digest >> 40, digest & ((1 << 40) - 1)


def whole(first: int, second: int) -> int:
    """The digest that these are the halves of."""
    return first << 40 | second


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.sha256(data).digest()[:_BYTES])
