"""What of an answer has come and is not used yet: read as fast as it comes, used many blocks at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from node.bulk.client import BulkAnswer, BulkFailed


class AnswerBuffer:
    """Bounded: above `limit` bytes nothing more is read until it was taken."""

    def __init__(self, answers: AsyncGenerator[BulkAnswer], limit: int) -> None:
        self._answers = answers
        self._limit = limit
        self._held: list[bytes | None] = []
        self._bytes = 0
        self._ended = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self.failure: BulkFailed | None = None

    async def take(self) -> list[bytes | None]:
        """All that is here, in order, at least one; nothing at the end, when `failure` says how it ended."""
        while not self._held and not self._ended:
            self._news.clear()
            await self._news.wait()
        taken, self._held, self._bytes = self._held, [], 0
        self._room.set()
        return taken

    async def fill(self) -> None:
        """Read until the end."""
        try:
            async with aclosing(self._answers):
                async for blocks in self._answers:
                    await self._room.wait()
                    self._put(blocks)
        except BulkFailed as error:
            self.failure = error
        finally:
            self._ended = True
            self._news.set()

    def _put(self, blocks: BulkAnswer) -> None:
        self._held += blocks
        self._bytes += sum(len(block) for block in blocks if block)
        if self._bytes >= self._limit:
            self._room.clear()
        self._news.set()


@asynccontextmanager
async def buffered(answers: AsyncGenerator[BulkAnswer], limit: int) -> AsyncIterator[AnswerBuffer]:
    """Leaving the block ends the request."""
    buffer = AnswerBuffer(answers, limit)
    filling = asyncio.create_task(buffer.fill())
    try:
        yield buffer
    finally:
        filling.cancel()
        await asyncio.wait([filling])
        if not filling.cancelled():
            filling.result()  # a bug comes out here
