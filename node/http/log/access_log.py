"""One line a request: the combined log format, then the host and the seconds it took.

Writing a line never waits and never fails: lines are gathered, and a thread appends them to the file. Why not
by `logging.handlers`: docs/decisions/0002-dependencies.md.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

from node.errors import NodeError
from node.http.log.sinks import LogFile, StandardOutput

_log = logging.getLogger(__name__)

STDOUT = "-"
_GATHER_SECONDS = 0.2
_CLOSE_SECONDS = 2.0  # for the last lines: a pipe without a reader must not keep the node from ending
_MAX_WAITING = 4 * 1024 * 1024  # bytes of lines that are not written yet
_MAX_TEXT = 4096  # bytes of one field
_UNSAFE = re.compile(rb"[^ !#-\[\]-~]")  # control characters, quotes, backslashes, and what is not ASCII


class Sink(Protocol):
    """Where lines go. Its methods are called by one thread."""

    def append(self, data: bytes) -> None:
        """Raises OSError."""
        ...

    def close(self) -> None: ...


class AccessLogUnusable(NodeError):
    """The access log cannot be opened."""


@dataclass(frozen=True, slots=True)
class AccessLogEntry:
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
    """Lines that wait to be written; what does not fit is dropped, counted, and logged as a count."""

    def __init__(self, sink: Sink, max_waiting: int = _MAX_WAITING) -> None:
        self._sink = sink
        self._max_waiting = max_waiting
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._closing = threading.Event()
        self._taken = 0  # bytes, this and the next by who calls `write` alone, the others by the thread
        self._dropped = 0
        self._done = 0
        self._reported = 0
        self._failed = False

    def write(self, access: AccessLogEntry) -> None:
        line = access.line()
        if self._taken - self._done + len(line) > self._max_waiting:
            self._dropped += 1
            return
        self._taken += len(line)
        self._lines.put(line)

    def close(self) -> None:
        """What waits is written; then `writing` ends."""
        self._closing.set()
        self._lines.put(None)

    def writing(self) -> None:
        """Write what comes, until closed: the work of a thread."""
        while lines := self._gathered():
            self._append(b"".join(lines))
        self._sink.close()

    def _gathered(self) -> list[bytes]:
        """The lines of a moment; none at the end."""
        lines: list[bytes] = []
        while not lines or not self._lines.empty():
            line = self._lines.get()
            if line is None:
                if lines:
                    self._lines.put(None)  # is met again, then with no line before it
                break
            if not lines:
                self._closing.wait(_GATHER_SECONDS)
            lines.append(line)
        return lines

    def _append(self, data: bytes) -> None:
        """A full or broken disk costs its lines, and is logged once."""
        try:
            self._sink.append(data)
            self._failed = False
        except OSError as error:
            if not self._failed:
                _log.warning("the access log cannot be written, lines are missing: %s", error)
            self._failed = True
        self._done += len(data)
        if missing := self._dropped - self._reported:
            _log.warning("the access log is too slow: %d lines are missing", missing)
            self._reported += missing


@asynccontextmanager
async def open_access_log(path: str) -> AsyncIterator[AccessLog | None]:
    """The log of that setting: a file, `-` for standard output, None for an empty text.

    Lines that were written within the block are in the file behind it. Raises AccessLogUnusable.
    """
    if not path:
        yield None
        return
    async with written(AccessLog(StandardOutput() if path == STDOUT else _opened(path))) as log:
        yield log


@asynccontextmanager
async def written(log: AccessLog, close_seconds: float = _CLOSE_SECONDS) -> AsyncIterator[AccessLog]:
    """A thread writes its lines for the length of the block, and the last ones within `close_seconds`."""
    thread = threading.Thread(target=log.writing, name="access log", daemon=True)
    thread.start()
    try:
        yield log
    finally:
        log.close()
        await asyncio.to_thread(thread.join, close_seconds)


def _opened(path: str) -> LogFile:
    try:
        return LogFile(Path(path).expanduser())
    except OSError as error:
        raise AccessLogUnusable(
            f"cannot write the access log {path} ({error.strerror}): set gateway.access_log to another file, "
            "or to - for standard output"
        ) from None
