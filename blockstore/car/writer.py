"""CAR v1 written (ipld.io/specs/transport/car/carv1)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import cbrrr

from blockstore.block import Block
from blockstore.blocks import BlockSource
from blockstore.cid import CID
from blockstore.common import varint
from blockstore.ipld.depth_first import depth_first

_FLUSH = 64 * 1024


async def car_stream(roots: Sequence[CID], blocks: AsyncGenerator[Block]) -> AsyncGenerator[bytes]:
    """A CAR v1 of those blocks, in their order, in pieces of 64 KiB or more. Raises what `blocks` raises."""
    parts = [_header(roots)]
    size = 0
    async with aclosing(blocks):
        async for block in blocks:
            name = bytes(block.cid)
            parts += (varint.encode(len(name) + len(block.data)), name, block.data)
            size += len(block.data)
            if size >= _FLUSH:
                yield b"".join(parts)
                parts, size = [], 0
    if parts:
        yield b"".join(parts)


def export_car(source: BlockSource, root: CID, *, duplicates: bool = False) -> AsyncGenerator[bytes]:
    """A CAR v1 of the whole DAG in depth-first order. Raises what `depth_first` raises."""
    return car_stream([root], depth_first(source, root, duplicates=duplicates))


def _header(roots: Sequence[CID]) -> bytes:
    body = cbrrr.encode_dag_cbor({"roots": [cbrrr.CID(bytes(root)) for root in roots], "version": 1})
    return varint.encode(len(body)) + body
