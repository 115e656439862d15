"""CAR files read, v1 and v2, as they arrive; every block verified (ipld.io/specs/transport/car)."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from blockstore.block import MAX_BLOCK_BYTES, Block
from blockstore.cid import CID
from blockstore.common import varint
from blockstore.errors import BadBlock, BadCar, BadCid, DagTooLarge, UnknownHash
from blockstore.ipld import dag_cbor

MAX_HEADER_BYTES = 1024 * 1024
MAX_SECTION_BYTES = MAX_BLOCK_BYTES + 512  # a block that peers exchange, and its CID

_BATCH_BYTES, _BATCH_BLOCKS = 4 * 1024 * 1024, 1024
_PRAGMA_BYTES = 11
_V2_HEADER = struct.Struct("<16x3Q")  # characteristics; data offset, data size, index offset
_COMPACT = 1024 * 1024

_Section = tuple[CID, bytes]


@dataclass(frozen=True, slots=True)
class Car:
    """A CAR being read: its version, its roots, and its blocks in batches of some 4 MiB.

    Iterating raises BadCar, HashMismatch.
    """

    version: int
    roots: tuple[CID, ...]
    batches: AsyncGenerator[CarBatch]


@dataclass(frozen=True, slots=True)
class CarBatch:
    """Some of the blocks of a CAR, and those between them under a hash function that is unknown here."""

    blocks: list[Block]
    unknown: list[CID]


async def read_car(chunks: AsyncIterator[bytes]) -> Car:
    """Read up to the first block. Of a v2 the data is read, its index is not. Raises BadCar."""
    stream = _Bytes(chunks)
    version, roots = await _read_header(stream)
    if version == 2:
        await _enter_window(stream)
        inner, roots = await _read_header(stream)
        if inner != 1:
            raise BadCar(f"CAR v2 holds data of version {inner}, not 1")
    return Car(version, roots, _batches(stream))


async def _read_header(stream: _Bytes) -> tuple[int, tuple[CID, ...]]:
    size = await stream.length(MAX_HEADER_BYTES, "header")
    if size is None:
        raise BadCar("CAR is empty")
    try:
        header = await asyncio.to_thread(dag_cbor.decode, await stream.read(size))
    except (BadBlock, DagTooLarge) as error:
        raise BadCar(f"CAR header does not decode: {error}") from None
    match header:
        case {"version": 1, "roots": list(roots)} if all(isinstance(root, CID) for root in roots):
            return 1, tuple(root for root in roots if isinstance(root, CID))
        case {"version": 2, **rest} if not rest:
            return 2, ()
    raise BadCar("CAR header is of an unknown version, or its roots are not CIDs")


async def _enter_window(stream: _Bytes) -> None:
    """Read the header of a v2, and go to the v1 inside."""
    offset, size, _ = _V2_HEADER.unpack(await stream.read(_V2_HEADER.size))
    if offset < _PRAGMA_BYTES + _V2_HEADER.size or not size:
        raise BadCar(f"CAR v2 places {size} bytes of data at {offset}: it was not finished, or is damaged")
    await stream.skip_to(offset)
    stream.end = offset + size


async def _batches(stream: _Bytes) -> AsyncGenerator[CarBatch]:
    sections: list[_Section] = []
    total = 0
    while (section := await _read_section(stream)) is not None:
        sections.append(section)
        total += len(section[1])
        if total >= _BATCH_BYTES or len(sections) == _BATCH_BLOCKS:
            yield await asyncio.to_thread(_verify, sections)
            sections, total = [], 0
    if sections:
        yield await asyncio.to_thread(_verify, sections)


async def _read_section(stream: _Bytes) -> _Section | None:
    start = stream.offset
    size = await stream.length(MAX_SECTION_BYTES, "block")
    if size is None:
        return None
    section = await stream.read(size)
    try:
        cid, position = CID.decode_prefix(section)
    except BadCid as error:
        raise BadCar(f"CAR block at byte {start} has no valid CID: {error}") from None
    return cid, section[position:]


def _verify(sections: list[_Section]) -> CarBatch:
    batch = CarBatch([], [])
    for cid, data in sections:
        try:
            batch.blocks.append(Block.verify(cid, data, "a CAR"))
        except UnknownHash:
            batch.unknown.append(cid)
    return batch


class _Bytes:
    """Chunks of any size read in the sizes that the format asks for, up to `end` (None: all of them)."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = bytearray()
        self._position = 0
        self.offset = 0
        self.end: int | None = None

    async def length(self, limit: int, what: str) -> int | None:
        """A varint of at most `limit`, not zero; None at the end."""
        start = self.offset
        head = bytearray()
        while not head or head[-1] >= 0x80:
            if not head and (self.offset == self.end or (self.end is None and not await self._fill(1))):
                return None
            head += await self.read(1)
            if len(head) > 9:
                break
        try:
            size, _ = varint.decode(head)
        except ValueError as error:
            raise BadCar(f"CAR {what} at byte {start}: its length does not decode: {error}") from None
        if not 0 < size <= limit:
            raise BadCar(f"CAR {what} at byte {start} claims {size} bytes: not from 1 to {limit}")
        return size

    async def read(self, size: int) -> bytes:
        if (self.end is not None and self.offset + size > self.end) or not await self._fill(size):
            raise BadCar(f"CAR is truncated: it ends before the {size} bytes due at byte {self.offset}")
        piece = bytes(memoryview(self._buffer)[self._position : self._position + size])
        self._advance(size)
        return piece

    async def skip_to(self, offset: int) -> None:
        while self.offset < offset:
            if not await self._fill(1):
                raise BadCar(f"CAR is truncated: it ends at byte {self.offset}, its data begins at {offset}")
            self._advance(min(offset - self.offset, len(self._buffer) - self._position))

    async def _fill(self, size: int) -> bool:
        while len(self._buffer) - self._position < size:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                return False
            self._buffer += chunk
        return True

    def _advance(self, size: int) -> None:
        self.offset += size
        self._position += size
        if self._position >= _COMPACT:
            del self._buffer[: self._position]
            self._position = 0
