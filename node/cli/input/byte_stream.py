"""Content that has no size: standard input, pipes, and descriptors of this process such as /dev/fd/63."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress

from blockstore.errors import UnreadableFile
from node.files.descriptors import descriptor_of

STDIN = "-"
_PIECE = 1 << 20


class PipedContent(AsyncIterator[bytes]):
    """Its bytes, once: `pieces` in a thread of its own, or awaited piece by piece. Raises UnreadableFile."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None

    def pieces(self) -> Iterator[bytes]:
        while piece := self._read():
            yield piece

    def _read(self) -> bytes:
        try:
            # The descriptor, not `sys.stdin.buffer`: a thread that waits in there keeps Python from ending.
            if self._descriptor is None:
                self._descriptor = self._opened()
            return os.read(self._descriptor, _PIECE)
        except OSError as error:
            if self._path == STDIN and error.errno == errno.EBADF:
                raise UnreadableFile("standard input", "it is closed") from None
            raise UnreadableFile(_shown(self._path), error.strerror or str(error)) from None

    def _opened(self) -> int:
        number = 0 if self._path == STDIN else descriptor_of(self._path)
        return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC) if number is None else number

    async def __anext__(self) -> bytes:
        piece = await self._in_thread_left_behind()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def _in_thread_left_behind(self) -> bytes:
        """One read. An interrupted command does not wait for input that may never come."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bytes | UnreadableFile] = loop.create_future()

        def read() -> None:
            try:
                found: bytes | UnreadableFile = self._read()
            except UnreadableFile as error:
                found = error
            with suppress(RuntimeError):  # the loop has ended, and with it the waiting task
                loop.call_soon_threadsafe(settle, found)

        def settle(found: bytes | UnreadableFile) -> None:
            if not done.done():
                done.set_result(found)

        threading.Thread(target=read, daemon=True).start()
        found = await done
        if isinstance(found, UnreadableFile):
            raise found
        return found


def is_stream(path: str) -> bool:
    """Whether a path of the command line means bytes that come, not a file or folder to look at."""
    if path == STDIN or descriptor_of(path) is not None:
        return True
    try:
        return stat.S_ISFIFO(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def named_streams(paths: Sequence[str], first_name: str) -> Iterator[tuple[str, PipedContent]]:
    """A pipe goes by its own name, other streams by `first_name`, where that is given, or by their CIDs."""
    for path in dict.fromkeys(paths):
        own = "" if path == STDIN or descriptor_of(path) is not None else os.path.basename(path)
        yield first_name or own, PipedContent(path)
        first_name = ""


def _shown(path: str) -> str:
    return "standard input" if path == STDIN else path
