"""One line a request: the combined log format, then the host and the seconds it took.

Writing a line never waits and never fails: lines are gathered, and a thread appends them to the file.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bitswap.tasks import open_tasks
from node.errors import NodeError

_log = logging.getLogger(__name__)

STDOUT = "-"
_GATHER_SECONDS = 0.2
_MAX_WAITING = 4 * 1024 * 1024  # bytes of lines that are not written yet
_MAX_TEXT = 4096  # bytes of one field
_UNSAFE = re.compile(rb"[^ !#-\[\]-~]")  # control characters, quotes, backslashes, and what is not ASCII

Sink = Callable[[bytes], None]
"""Appends bytes; raises OSError."""


class AccessLogUnusable(NodeError):
    """The access log cannot be opened."""


@dataclass(frozen=True, slots=True)
class Access:
    """One request and its answer. `at` in seconds since 1970, `size` in bytes of the body as sent.

    `request` is the request line; a status of 499 says that the client left before the answer (nginx).
    """

    client: str
    at: float
    request: str
    status: int
    size: int
    referer: str
    agent: str
    host: str
    seconds: float

    def line(self) -> bytes:
        """Any text a client sends stays inside its quotes."""
        when = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(self.at)).encode()
        request, referer, agent, host = map(_safe, (self.request, self.referer, self.agent, self.host))
        return b'%s - - [%s] "%s" %d %d "%s" "%s" "%s" %.3f\n' % (
            _safe(self.client), when, request, self.status, self.size, referer, agent, host, self.seconds
        )  # fmt: skip


def _safe(text: str) -> bytes:
    data = text.encode(errors="surrogateescape")[:_MAX_TEXT]
    return _UNSAFE.sub(lambda match: b"\\x%02X" % match[0][0], data) or b"-"


class AccessLog:
    """Lines that wait to be written; what does not fit is dropped, counted, and told."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._dropped = 0
        self._some = asyncio.Event()
        self._failed = False
        self._lock = threading.Lock()

    def write(self, access: Access) -> None:
        line = access.line()
        if self._bytes + len(line) > _MAX_WAITING:
            self._dropped += 1
            return
        self._waiting.append(line)
        self._bytes += len(line)
        self._some.set()

    async def writing(self) -> None:
        """Write what comes, until cancelled."""
        while True:
            await self._some.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write what waits. A full or broken disk costs its lines, and is told once."""
        self._some.clear()
        lines, self._waiting = self._waiting, []
        if dropped := self._dropped:
            _log.warning("the access log is too slow: %d lines are missing", dropped)
        self._dropped = 0
        try:
            await asyncio.to_thread(self._append, b"".join(lines))
            self._failed = False
        except OSError as error:
            if not self._failed:
                _log.warning("the access log cannot be written, lines are missing: %s", error)
            self._failed = True
        finally:
            self._bytes -= sum(map(len, lines))

    def _append(self, data: bytes) -> None:
        with self._lock:  # a write whose waiter was cancelled still goes on
            self._sink(data)


class LogFile:
    """A file that is appended to; one that was moved or removed is made anew (logrotate)."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._path = path
        self._torn = False
        self._descriptor = self._open()

    def __call__(self, data: bytes) -> None:
        """Raises OSError; the rest of a line that did not fit is left out."""
        if self._is_elsewhere():
            fresh = self._open()
            os.close(self._descriptor)
            self._descriptor, self._torn = fresh, False
        if self._torn:
            data = b"\n" + data
        self._torn = True
        write_all(self._descriptor, data)
        self._torn = False

    def close(self) -> None:
        os.close(self._descriptor)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _is_elsewhere(self) -> bool:
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return True
        ours = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)


def write_all(descriptor: int, data: bytes) -> None:
    """Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


@asynccontextmanager
async def open_access_log(path: str) -> AsyncIterator[AccessLog | None]:
    """The log of that setting: a file, `-` for standard output, None for an empty text.

    Lines that were written within the block are in the file behind it. Raises AccessLogUnusable.
    """
    if not path:
        yield None
    elif path == STDOUT:
        async with _written(lambda data: write_all(1, data)) as log:
            yield log
    else:
        file = _opened(path)
        try:
            async with _written(file) as log:
                yield log
        finally:
            file.close()


@asynccontextmanager
async def _written(sink: Sink) -> AsyncIterator[AccessLog]:
    log = AccessLog(sink)
    try:
        async with open_tasks() as tasks:
            tasks.spawn(log.writing())
            yield log
    finally:
        await log.flush()


def _opened(path: str) -> LogFile:
    try:
        return LogFile(Path(path).expanduser())
    except OSError as error:
        raise AccessLogUnusable(
            f"cannot write the access log {path} ({error.strerror}): set gateway.access_log to another file, "
            "or to - for standard output"
        ) from None
