"""Files that programs on this machine opened and handed over, instead of sending their bytes (SCM_RIGHTS).

A program connects to `files.sock` in the data folder, which its owner alone can open, sends one byte with a
descriptor, and gets a ticket. A part of an upload that names the ticket has that file as its content. What
the node reads is what the program could open: no path is followed, and no right is lent.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import secrets
import socket
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from io import FileIO
from pathlib import Path

from node.errors import NodeError
from node.files.bound_socket import bound_socket

TICKET_BYTES = 32
"""Of a ticket, as it is sent: hexadecimal digits."""

_CONNECTIONS = 64
_WAITING = 16  # files of one connection that no part has named yet; it is not read meanwhile
_PAUSE = 0.5  # seconds
_log = logging.getLogger(__name__)


Claim = Callable[[str], FileIO]
"""Ticket -> the file, which may be closed when it was read. Raises UnknownTicket."""


class UnknownTicket(NodeError):
    """No file waits under this ticket: it was claimed, or its connection has ended."""


class HandedFiles:
    """Files by ticket. A ticket is good for one part, as long as its connection lasts."""

    def __init__(self) -> None:
        self._givers: set[_Giver] = set()

    def __repr__(self) -> str:
        waiting = sum(len(giver.waiting) for giver in self._givers)
        return f"<HandedFiles: {waiting} wait for their part, {len(self._givers)} connections>"

    @contextmanager
    def claiming(self) -> Iterator[Claim]:
        """For one upload: its files are closed in the end, read or not."""
        claimed: list[FileIO] = []

        def claim(ticket: str) -> FileIO:
            claimed[:] = [file for file in claimed if not file.closed]
            claimed.append(self._claim(ticket))
            return claimed[-1]

        try:
            yield claim
        finally:
            for file in claimed:
                file.close()

    def _claim(self, ticket: str) -> FileIO:
        for giver in self._givers:
            if ticket in giver.waiting:
                return giver.claim(ticket)
        raise UnknownTicket("no file waits under this ticket")

    def accept(self, listening: socket.socket) -> None:
        """A program connects; called when one is waiting."""
        try:
            connection, _ = listening.accept()
        except BlockingIOError:
            return
        except OSError:  # it left, or no descriptor is free: it is still waiting then
            _pause(listening, self.accept)
            return
        if len(self._givers) >= _CONNECTIONS:
            connection.close()
            return
        connection.setblocking(False)
        giver = _Giver(connection, self._givers.discard)
        self._givers.add(giver)
        giver.listen()

    def close(self) -> None:
        for giver in tuple(self._givers):
            giver.close()


class _Giver:
    """One connection: takes files and gives tickets, as many as may wait."""

    def __init__(self, connection: socket.socket, gone: Callable[[_Giver], object]) -> None:
        self._connection = connection
        self._gone = gone
        self.waiting: dict[str, FileIO] = {}

    def listen(self) -> None:
        asyncio.get_running_loop().add_reader(self._connection.fileno(), self._take)

    def claim(self, ticket: str) -> FileIO:
        if len(self.waiting) == _WAITING:
            self.listen()
        return self.waiting.pop(ticket)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._connection.fileno())
        self._connection.close()
        self._gone(self)
        for file in self.waiting.values():
            file.close()

    def _take(self) -> None:
        """One file. A connection that says anything else, or ends, is closed with what it has waiting."""
        try:
            file = _received(self._connection)
        except BlockingIOError:
            return
        except (OSError, ValueError):
            self.close()
            return
        ticket = secrets.token_hex(TICKET_BYTES // 2)
        self.waiting[ticket] = file
        self._answer(ticket)

    def _answer(self, ticket: str) -> None:
        try:
            self._connection.send(ticket.encode())
        except OSError:
            self.close()
            return
        if len(self.waiting) == _WAITING:
            asyncio.get_running_loop().remove_reader(self._connection.fileno())


def _pause(listening: socket.socket, accept: Callable[[socket.socket], None]) -> None:
    """Connections wait for a moment: a descriptor may be free by then."""
    loop, number = asyncio.get_running_loop(), listening.fileno()
    loop.remove_reader(number)

    def go_on() -> None:
        if listening.fileno() == number:  # not closed since
            loop.add_reader(number, accept, listening)

    loop.call_later(_PAUSE, go_on)


def _received(connection: socket.socket) -> FileIO:
    """Raises ValueError for anything but one regular file that is open for reading; OSError."""
    flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # absent on macOS
    said, handles, met, _ = socket.recv_fds(connection, 1, 1, flags)
    alone = len(said) == 1 == len(handles) and not met & socket.MSG_CTRUNC
    try:
        if not alone or not _is_readable(handles[0]):
            raise ValueError("that is no file to read")
        return FileIO(handles.pop())
    finally:
        for handle in handles:
            os.close(handle)


def _is_readable(handle: int) -> bool:
    mode = fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE
    return stat.S_ISREG(os.fstat(handle).st_mode) and mode != os.O_WRONLY


@asynccontextmanager
async def taking_files(path: Path) -> AsyncIterator[HandedFiles]:
    """Take files there for the length of the block. Where no socket can be made, none is handed over."""
    files, loop = HandedFiles(), asyncio.get_running_loop()
    with ExitStack() as stack:
        try:
            listening = stack.enter_context(bound_socket(path))
            listening.listen()
            listening.setblocking(False)
        except OSError as error:
            _log.info("no %s (%s): files are sent, not handed over", path, error.strerror or error)
            yield files
            return
        loop.add_reader(listening.fileno(), files.accept, listening)
        stack.callback(files.close)
        stack.callback(loop.remove_reader, listening.fileno())
        yield files
