"""The lock of a data folder: one process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from blockstore.disk.free_space import is_full
from blockstore.errors import StoreLocked, StoreUnavailable


@contextmanager
def hold_lock(path: Path) -> Generator[None]:
    """Hold the lock file for the length of the block; our process id is written in it.

    The kernel frees it when the process ends, however it ends, so a lock file that lies there means nothing.
    Raises StoreLocked, naming the folder and the process; StoreUnavailable where the file cannot be made.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnavailable(f"cannot lock {path.parent}: {error.strerror}") from error
    try:
        _lock(file, path)
        _sign(file)
        yield
    finally:
        os.close(file)


def _sign(file: int) -> None:
    """Write our process id over the one before, which takes no room on a full disk.

    It is for people only, so where there is none a new file stays empty.
    """
    text = b"%d\n" % os.getpid()
    try:
        os.pwrite(file, text, 0)
        os.ftruncate(file, len(text))
    except OSError as error:
        if not is_full(error):
            raise


def _lock(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(file, 32, 0).decode("ascii", "replace").strip() or "unknown"
        raise StoreLocked(
            f"data folder {path.parent} is in use by another process (pid {owner}): "
            "stop it, or choose another folder with --path"
        ) from None
