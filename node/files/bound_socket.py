"""A Unix socket to listen on: its owner alone may open it, and it is gone when its node is."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OWNER_ONLY = 0o600


@contextmanager
def bound_socket(path: Path) -> Iterator[socket.socket]:
    """Bound and not listening yet; what a process that died left there is replaced.

    Raises OSError: EADDRINUSE for a socket that is answered, EEXIST for a file that is none.
    """
    _remove_stale(path)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.fspath(path))
        try:
            path.chmod(_OWNER_ONLY)  # before the first connection can come
            yield made
        finally:
            path.unlink(missing_ok=True)


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "there is a file that is no socket", os.fspath(path))
    with socket.socket(socket.AF_UNIX) as tried:
        try:
            tried.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(errno.EADDRINUSE, "another process listens there", os.fspath(path))
