"""Content-defined cutting: end a chunk where the hash of the last few bytes ends in zero bits.

Rabin fingerprints and buzhash are both the XOR of one table look-up for each byte of a window. So the low
byte of the hash at every position of a long stretch is a handful of `bytes.translate` calls, shifted and
XORed as large integers: 5 to 10 times as fast as rolling the hash byte by byte in Python. Positions
whose low byte is zero are then looked at one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_STRETCH = 64 * 1024  # bytes looked at together: small enough to stay in the processor's cache


class WindowHash:
    """A hash of a window as tables: `tables[i][b]` is what byte b gives, i bytes before the window's last."""

    def __init__(self, tables: Sequence[Sequence[int]], mask: int) -> None:
        self._mask = mask
        self._tables = tables
        self._planes = [_plane(tables, mask, shift) for shift in range(0, mask.bit_length(), 8)]

    def is_cut(self, data: bytearray, last: int) -> bool:
        """Whether the window that ends with the byte at `last` hashes to zero under the mask."""
        value = 0
        for back, table in enumerate(self._tables):
            value ^= table[data[last - back]]
        return not value & self._mask

    def sieve(self, data: bytearray, start: int, stop: int) -> bytes:
        """A byte for the window that ends at each position from `start` up to `stop`.

        Where it is not zero, the hash is not; zeros are few, or are all true.
        """
        bits, sieve = 0, b""
        for plane in self._planes:
            total = 0
            for back, table in plane:
                total ^= int.from_bytes(data[start - back : stop - back].translate(table), "little")
            bits |= total
            sieve = bits.to_bytes(stop - start, "little")
            if sieve.count(0) <= (stop - start) // 64:
                break
        return sieve


def _plane(tables: Sequence[Sequence[int]], mask: int, shift: int) -> list[tuple[int, bytes]]:
    """Eight bits of the hash as tables for `translate`, with their distance from the window's end."""
    cut = [bytes((value & mask) >> shift & 0xFF for value in table) for table in tables]
    return [(back, table) for back, table in enumerate(cut) if any(table)]


@dataclass(frozen=True, slots=True)
class CutRule:
    """A chunk ends at the first place from `low` bytes on where the hash is zero, or at `high` bytes."""

    hash: WindowHash
    low: int
    high: int


class RollingChunker:
    """Chunks by a CutRule. Holds at most one chunk of the greatest size, and what is fed at once."""

    read_bytes = 1024 * 1024

    def __init__(self, rule: CutRule) -> None:
        self._rule = rule
        self._buffer = bytearray()
        self._searched = 0  # no chunk ends at or before this offset
        self._known = (0, 0, b"")  # a sieve: from, to, and its bytes

    def feed(self, data: bytes) -> list[bytes]:
        self._buffer += data
        return self._cut_all(final=False)

    def finish(self) -> list[bytes]:
        return self._cut_all(final=True)

    def _cut_all(self, *, final: bool) -> list[bytes]:
        chunks: list[bytes] = []
        start, size = 0, len(self._buffer)
        while start < size and (end := self._next_end(start, final=final)) > 0:
            chunks.append(bytes(memoryview(self._buffer)[start:end]))
            start = end
        if start:
            del self._buffer[:start]
            self._searched = max(0, self._searched - start)
            known_from, known_to, sieve = self._known
            self._known = (known_from - start, known_to - start, sieve)
        return chunks

    def _next_end(self, start: int, *, final: bool) -> int:
        """Offset where the chunk that begins at `start` ends; 0 when more bytes are needed to decide."""
        rule, size = self._rule, len(self._buffer)
        latest = min(start + rule.high, size)
        position = max(start + rule.low - 1, self._searched)
        while position < latest:
            found = self._first_zero(position, latest)
            if found < 0:
                break
            if rule.hash.is_cut(self._buffer, found):
                return found + 1
            position = found + 1
        if latest == start + rule.high or final:
            return latest
        self._searched = latest
        return 0

    def _first_zero(self, position: int, stop: int) -> int:
        """The first position before `stop` that passes the sieve; negative when there is none."""
        while position < stop:
            known_from, known_to, sieve = self._known
            if not known_from <= position < known_to:
                known_from, known_to = position, min(position + _STRETCH, len(self._buffer))
                sieve = self._rule.hash.sieve(self._buffer, known_from, known_to)
                self._known = (known_from, known_to, sieve)
            found = sieve.find(0, position - known_from, stop - known_from)
            if found >= 0:
                return known_from + found
            position = known_to
        return -1
