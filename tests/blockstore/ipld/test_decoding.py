"""Blocks made to take long: others have their turns meanwhile, and what did not decode is not tried again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from support.dags import node

from blockstore.block import MAX_BLOCK_BYTES, Block
from blockstore.cid import CID, DAG_CBOR, DAG_JSON, DAG_PB
from blockstore.errors import BadBlock, DagTooLarge
from blockstore.ipld import decoding
from blockstore.unixfs.reader import describe

SIZE = MAX_BLOCK_BYTES // 4
LINK = CID.identity(0x55, b"")

WIDE = {
    "dag-cbor of pairs": Block.of(
        b"\x9a" + (SIZE // 2).to_bytes(4, "big") + b"\x81\0" * (SIZE // 2), DAG_CBOR
    ),
    "dag-cbor of tags": Block.of(b"\xc1" * SIZE + b"\0", DAG_CBOR),
    "dag-cbor of links": Block.of(
        b"\x9a" + (SIZE // 8).to_bytes(4, "big") + b"\xd8\x2a\x45\0\x01\x55\0\0" * (SIZE // 8), DAG_CBOR
    ),
    "dag-json of maps": Block.of(b"[" + b"{}," * 100_000 + b"1]", DAG_JSON),
    "dag-pb of links": Block.of(b"\x12\x06\x0a\x04\x01\x55\0\0" * (SIZE // 8), DAG_PB),
}


@asynccontextmanager
async def turns_counted() -> AsyncIterator[list[int]]:
    """How often others had their turn during the block."""
    count = [0]

    async def others() -> None:
        while True:
            await asyncio.sleep(0.001)
            count[0] += 1

    task = asyncio.create_task(others())
    yield count
    task.cancel()


@pytest.mark.parametrize("block", WIDE.values(), ids=WIDE)
async def test_others_have_their_turns_while_a_wide_node_is_read(block: Block) -> None:
    async with turns_counted() as count:
        await decoding.links(block)
    assert count[0] >= 5


@pytest.mark.parametrize(
    "block",
    [
        Block.of(b"\x81" * SIZE, DAG_CBOR),
        Block.of(b"[" * SIZE, DAG_JSON),
        Block.of(b"[" + b"0," * 300_000, DAG_JSON),
    ],
    ids=["dag-cbor", "dag-json", "dag-json of numbers"],
)
async def test_what_is_too_deep_or_wide_is_refused_at_once_and_remembered(block: Block) -> None:
    for _ in range(2):
        for read in (decoding.links, decoding.decode):
            with pytest.raises(DagTooLarge, match=str(block.cid)):
                await read(block)


async def test_a_failure_of_one_reader_is_none_of_another() -> None:
    """A file that contradicts itself still links to what it links to."""
    many = [LINK] * 9000
    file = node(many, b"\x08\x02\x18\x05\x20\x02")
    with pytest.raises(BadBlock, match="block sizes"):
        await decoding.beside(describe, file)
    assert await decoding.links(file) == many


@pytest.mark.parametrize("count", [0, 1, 2048, 2049, 10_000])
async def test_turns_give_every_item_once_and_the_last_part_first(count: int) -> None:
    parts = [part async for part in decoding.turns(range(count))]
    assert [item for part in reversed(parts) for item in part] == list(range(count))


async def test_a_raw_block_is_looked_at_where_it_is_for_it_holds_nothing_to_decode() -> None:
    """A thread would cost each leaf of a file more than all the rest of reading it."""
    leaf = Block.of(bytes(MAX_BLOCK_BYTES))
    assert decoding.at_once(leaf)
    assert await decoding.beside(lambda _: threading.current_thread(), leaf) is threading.main_thread()
