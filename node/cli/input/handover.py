"""Files handed to the daemon of this machine as they are open: it reads them itself (SCM_RIGHTS)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blockstore.unixfs.importing.open_file import open_regular
from node.cli.api.errors import DaemonLost
from node.files.handed_files import TICKET_BYTES

LEAST = 1 << 20
"""Bytes of a file that is worth it: below, its bytes are sent as fast."""


class Handover:
    """A connection to the daemon; what was handed over is good as long as it lasts."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def give(self, path: str) -> str:
        """The ticket of that file, for a part of the upload to name. Raises UnreadableFile, DaemonLost."""
        with open_regular(path) as file:
            ticket = self._exchange(file.fileno())
        if len(ticket) != TICKET_BYTES:
            raise DaemonLost(f"the node took {path} no more, which was handed to it")
        return ticket.decode()

    def _exchange(self, handle: int) -> bytes:
        try:
            socket.send_fds(self._connection, [b"\0"], [handle])
            return self._connection.recv(TICKET_BYTES, socket.MSG_WAITALL)
        except OSError:
            return b""


@contextmanager
def handing_over(path: Path) -> Iterator[Handover | None]:
    """For the length of the block; None where no daemon takes files there: their bytes are sent then."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
        except OSError:
            yield None
            return
        yield Handover(connection)
