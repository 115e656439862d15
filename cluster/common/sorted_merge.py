"""Sorted streams by CID become one, without holding any of them whole."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from blockstore.cid import CID

T = TypeVar("T")


@asynccontextmanager
async def closed_after(stream: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """The stream, ended for certain when the block is left early."""
    try:
        yield stream
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


async def merge(streams: Sequence[AsyncIterator[tuple[CID, T]]]) -> AsyncIterator[tuple[CID, list[T]]]:
    """Each CID once, in order of its bytes, with what the streams (each in that order) say of it.

    All streams are asked for their first item at the same time, and then one after the other as needed.
    """
    async with AsyncExitStack() as stack:
        for stream in streams:
            await stack.enter_async_context(closed_after(stream))
        heads = await _heads(streams)
        heapq.heapify(heads)
        while heads:
            key, cid, parts = heads[0][0], heads[0][2], []
            while heads and heads[0][0] == key:
                _, index, _, item = heads[0]
                parts.append(item)
                following = await _head(index, streams[index])
                if following is None:
                    heapq.heappop(heads)
                else:
                    heapq.heapreplace(heads, following)
            yield cid, parts


async def _heads(streams: Sequence[AsyncIterator[tuple[CID, T]]]) -> list[tuple[bytes, int, CID, T]]:
    """The first items, all asked for at once. A stream that fails is waited for like the others: none may be
    closed while it runs.
    """
    asked = (_head(index, stream) for index, stream in enumerate(streams))
    heads = await asyncio.gather(*asked, return_exceptions=True)
    for failure in heads:
        if isinstance(failure, BaseException):
            raise failure
    return [head for head in heads if head is not None and not isinstance(head, BaseException)]


async def _head(index: int, stream: AsyncIterator[tuple[CID, T]]) -> tuple[bytes, int, CID, T] | None:
    # (key, index) decides every comparison in the heap: a stream has a key at most once.
    async for cid, item in stream:
        return bytes(cid), index, cid, item
    return None
