"""Where a walk is, as bytes to go on from after a restart: what was visited, and what is known beyond that.

Form: zlib over a version, counts of blocks and bytes, two bitmaps by row of the store, and the steps; numbers
are varints, each bitmap and each CID stands behind its length.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from blockstore.cid import CID
from blockstore.common import varint
from blockstore.errors import BadCid
from blockstore.ipld.visited import Visited
from blockstore.ipld.walk_frontier import MAX_DEPTH, WalkStep
from blockstore.number_bitmap import NumberBitmap

_VERSION = 1
_LEVEL = 1  # of compression: pages of ones and zeroes need no more


class BadWalkState(ValueError):
    """Bytes that are no state of a walk."""


@dataclass(frozen=True, slots=True)
class WalkState:
    """`raw` and `nodes` are packed bitmaps of what was visited; `named` is what has no number.
    `count` blocks of `size` bytes were visited.

    It is good for as long as the store's blocks keep their numbers.
    """

    raw: bytes
    nodes: bytes
    named: Sequence[CID]
    steps: Sequence[WalkStep]
    count: int
    size: int

    @classmethod
    def of(cls, visited: Visited, steps: Sequence[WalkStep], count: int, size: int) -> WalkState:
        named = tuple(visited.named.values())
        return cls(visited.raw.pack(), visited.nodes.pack(), named, steps, count, size)

    def visited(self) -> Visited:
        found = Visited(NumberBitmap.unpack(self.raw), NumberBitmap.unpack(self.nodes))
        for cid in self.named:
            found.add(cid, None)
        return found

    def encode(self) -> bytes:
        parts = [varint.encode(number) for number in (_VERSION, self.count, self.size, len(self.named))]
        parts += map(_sized, (self.raw, self.nodes, *map(bytes, self.named)))
        for step in self.steps:
            parts += (varint.encode(step.depth), _sized(bytes(step.cid)))
        return zlib.compress(b"".join(parts), _LEVEL)

    @classmethod
    def decode(cls, data: bytes) -> WalkState:
        """Raises BadWalkState, and only that."""
        try:
            return cls._decoded(zlib.decompress(data))
        except (zlib.error, ValueError, BadCid) as error:
            raise BadWalkState(str(error)) from None

    @classmethod
    def _decoded(cls, data: bytes) -> WalkState:
        reader = _Reader(data)
        version, count, size, named = (reader.number() for _ in range(4))
        if version != _VERSION:
            raise BadWalkState(f"a state of version {version}")
        raw, nodes = reader.sized(), reader.sized()
        NumberBitmap.unpack(raw), NumberBitmap.unpack(nodes)
        found = [CID.decode(reader.sized()) for _ in range(min(named, len(data)))]
        return cls(raw, nodes, found, list(_steps(reader)), count, size)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def number(self) -> int:
        """Raises ValueError."""
        value, self._at = varint.decode(self._data, self._at)
        return value

    def sized(self) -> bytes:
        """Raises ValueError."""
        size = self.number()
        self._at += size
        if self._at > len(self._data):
            raise BadWalkState("a state that ends too early")
        return self._data[self._at - size : self._at]


def _sized(data: bytes) -> bytes:
    return varint.encode(len(data)) + data


def _steps(reader: _Reader) -> Iterator[WalkStep]:
    while reader:
        depth = reader.number()
        if depth > MAX_DEPTH:
            raise BadWalkState(f"a step at depth {depth}")
        yield WalkStep(CID.decode(reader.sized()), depth)
