"""Standard input as the content of a file: `pinfold add -`."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

_PIECE = 1 << 20


class StandardInput(AsyncIterator[bytes]):
    """Its bytes, once: `pieces` in a thread of its own, or awaited piece by piece."""

    def pieces(self) -> Iterator[bytes]:
        # The descriptor, not `sys.stdin.buffer`: a thread that waits in there keeps Python from ending.
        while piece := os.read(sys.stdin.fileno(), _PIECE):
            yield piece

    async def __anext__(self) -> bytes:
        piece = await _in_thread_left_behind()
        if not piece:
            raise StopAsyncIteration
        return piece


async def _in_thread_left_behind() -> bytes:
    """One read. Whoever is interrupted does not wait for input that may never come."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes | OSError] = loop.create_future()

    def read() -> None:
        try:
            found: bytes | OSError = os.read(sys.stdin.fileno(), _PIECE)
        except OSError as error:
            found = error
        with suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(settle, found)

    def settle(found: bytes | OSError) -> None:
        if not done.done():
            done.set_result(found)

    threading.Thread(target=read, daemon=True).start()
    found = await done
    if isinstance(found, OSError):
        raise found
    return found
