"""Blocks decoded for an event loop: small ones at once, large ones in a thread, one at a time.

A block of 2 MiB may hold two million values, and takes a second or two to look through. The thread does
that in Python, which lets the loop run in between; there is one, so that many such blocks take turns and not
the machine. What did not decode is remembered: asking again is no way to keep it busy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from cachetools import LRUCache

from blockstore.block import Block
from blockstore.cid import CID, DAG_PB, RAW
from blockstore.errors import BadBlock, BlockstoreError, DagTooLarge
from blockstore.ipld import codecs
from blockstore.ipld.cbor_value import Value

T = TypeVar("T")

_AT_ONCE = 16 * 1024  # bytes of a block that is decoded on the loop itself: some 10 ms of anything
_AT_ONCE_DAG_PB = 64 * 1024  # whose items are larger
_A_TURN = 2048  # items that are worked on in a ms or two
_REMEMBERED = 1024  # blocks that did not decode

_thread = ThreadPoolExecutor(1, "decoding")  # of this process, as its interpreter lock is
_failures: LRUCache[tuple[str, CID], tuple[type[BlockstoreError], str]] = LRUCache(_REMEMBERED)


def at_once(block: Block) -> bool:
    """Whether a block is decoded on the loop: a small one, or a raw one, which has nothing to decode."""
    if (codec := block.cid.codec) == RAW:
        return True
    return len(block.data) <= (_AT_ONCE_DAG_PB if codec == DAG_PB else _AT_ONCE)


async def links(block: Block) -> list[CID]:
    """As `codecs.links`."""
    return [] if block.cid.codec == RAW else await _remembering(codecs.links, block)


async def decode(block: Block) -> Value:
    """As `codecs.decode`."""
    return await _remembering(codecs.decode, block)


async def turns(items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """Parts of what a block held, the last part first, between which others have their turn."""
    for start in reversed(range(0, len(items), _A_TURN)):
        yield items[start : start + _A_TURN]
        if start:
            await asyncio.sleep(0)


async def beside(read: Callable[[Block], T], block: Block) -> T:
    """What `read` makes of the block, without keeping the loop. Raises what it raises."""
    if at_once(block):
        return read(block)
    return await asyncio.get_running_loop().run_in_executor(_thread, read, block)


async def _remembering(read: Callable[[Block], T], block: Block) -> T:
    """As `beside`, of readers that say the same each time."""
    key = (read.__name__, block.cid)
    if failure := _failures.get(key):
        kind, text = failure
        raise kind(text)
    try:
        return await beside(read, block)
    except (BadBlock, DagTooLarge) as error:
        if not at_once(block):
            _failures[key] = type(error), str(error)
        raise
