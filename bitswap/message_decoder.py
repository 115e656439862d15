"""Reads messages so that a long one does not hold up the event loop: in a thread, or a little at a time."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Executor

from bitswap.errors import BadMessage
from bitswap.message import Message
from bitswap.message_codec import decode, reading
from bitswap.received import ReceivedBlock, identify

_INLINE_BYTES = 32 * 1024  # messages up to this are read on the loop: a thread would cost more


class MessageDecoder:
    """`threads` hash the blocks of long messages."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._long_message = asyncio.Lock()

    async def read(self, data: bytes, *, expected: bool) -> tuple[Message, list[ReceivedBlock]]:
        """A message, and its blocks under their hashes where blocks are `expected`. Raises BadMessage."""
        if len(data) <= _INLINE_BYTES:
            return _read(data, expected)
        if expected:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, _read, data, expected)
        return await self._read_in_steps(data), []

    async def _read_in_steps(self, data: bytes) -> Message:
        """A long message without a block for us. Not in a thread: that would hold the loop up for longer."""
        async with self._long_message:
            began = time.perf_counter()
            for message in reading(data):
                if message is not None:
                    return message
                await asyncio.sleep(time.perf_counter() - began)  # as long for others as for this
                began = time.perf_counter()
        raise BadMessage("nothing to read")


def _read(data: bytes, expected: bool) -> tuple[Message, list[ReceivedBlock]]:
    """Blocks that were not asked for are not worth hashing."""
    message = decode(data)
    return message, identify(message.payloads) if expected else []
