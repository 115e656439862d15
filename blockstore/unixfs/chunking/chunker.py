"""Cutting a stream of bytes into the leaves of a file: what a chunker is, and the fixed-size one.

The settings are Kubo's texts: `size-N`, `rabin`, `rabin-AVG`, `rabin-MIN-AVG-MAX`, `buzhash`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from blockstore.errors import BadImportOption

MAX_CHUNK_BYTES = 2 * 1024 * 1024 - 256  # what Kubo accepts: a block of 2 MiB, less its framing
_DEFAULT_BYTES = 262144
_READ_BYTES = 1024 * 1024


class Chunker(Protocol):
    """Cuts one stream. Where it cuts depends on the bytes alone, never on the pieces they come in."""

    read_bytes: int
    """How many bytes to feed at once for the least copying."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; returns the chunks that are now certain."""
        ...

    def finish(self) -> list[bytes]:
        """The stream has ended; returns what is left, in at most a few chunks. An empty stream has none."""
        ...


class FixedChunker:
    """Chunks of `size` bytes, the last one shorter. Bytes are copied at most once."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._parts: list[bytes] = []
        self._held = 0
        self.read_bytes = size * max(1, _READ_BYTES // size) if size * 4 < _READ_BYTES else size

    def feed(self, data: bytes) -> list[bytes]:
        size = self._size
        if not self._parts and len(data) == size:
            return [data]
        self._parts.append(data)
        self._held += len(data)
        return self._cut() if self._held >= size else []

    def finish(self) -> list[bytes]:
        rest = b"".join(self._parts)
        self._parts, self._held = [], 0
        return [rest] if rest else []

    def _cut(self) -> list[bytes]:
        """Every whole chunk of what is held. The last part alone may hold more than one."""
        size, last = self._size, self._parts[-1]
        need = size - (self._held - len(last))
        chunks = [last[:need]] if len(self._parts) == 1 else [self._join(need)]
        stop = need + (len(last) - need) // size * size
        chunks += [last[at : at + size] for at in range(need, stop, size)]
        self._parts = [last[stop:]] if stop < len(last) else []
        self._held = len(last) - stop
        return chunks

    def _join(self, need: int) -> bytes:
        with memoryview(self._parts[-1]) as last:
            return b"".join([*self._parts[:-1], last[:need]])


def chunker_factory(spec: str) -> Callable[[], Chunker]:
    """What makes a fresh chunker for each file. Raises BadImportOption."""
    name, _, rest = spec.partition("-")
    if name == "size":
        size = _bounded(spec, rest)
        return lambda: FixedChunker(size)
    if name == "rabin":
        return _rabin_factory(spec, rest)
    if spec == "default":
        return lambda: FixedChunker(_DEFAULT_BYTES)
    if spec == "buzhash":
        from blockstore.unixfs.chunking.buzhash import BuzhashChunker

        return BuzhashChunker
    raise BadImportOption(
        f'chunker "{spec}" is unknown: use size-BYTES, rabin, rabin-AVG, rabin-MIN-AVG-MAX or buzhash'
    )


def _rabin_factory(spec: str, rest: str) -> Callable[[], Chunker]:
    from blockstore.unixfs.chunking.rabin import WINDOW, RabinChunker

    texts = rest.split("-") if rest else []
    if len(texts) == 3:
        low, average, high = (
            _bounded(spec, re.sub(f"^{label}:", "", text))
            for label, text in zip(("min", "avg", "max"), texts, strict=True)
        )
    elif len(texts) <= 1:
        average = _bounded(spec, texts[0]) if texts else _DEFAULT_BYTES
        low, high = average // 3, average + average // 2
    else:
        raise BadImportOption(f'chunker "{spec}": write rabin, rabin-AVG or rabin-MIN-AVG-MAX')
    if not WINDOW <= low < average < high <= MAX_CHUNK_BYTES:
        raise BadImportOption(
            f'chunker "{spec}": {low}, {average}, {high} must rise, within {WINDOW} and {MAX_CHUNK_BYTES}'
        )
    return lambda: RabinChunker(low, average, high)


def _bounded(spec: str, text: str) -> int:
    size = int(text) if re.fullmatch("[0-9]{1,9}", text) else 0
    if not 0 < size <= MAX_CHUNK_BYTES:
        raise BadImportOption(f'chunker "{spec}": a size is a number from 1 to {MAX_CHUNK_BYTES}')
    return size
