"""The pages of a file of blocks: how it is laid out, cut, and brought to the disk."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from blockstore.disk.page_cache import drop_cached
from blockstore.disk.sync import sync_path
from blockstore.sqlite.row_pages import RowPages

PAGE_BYTES = 16384
_SHORTEST_LOG = 4 * 1024 * 1024
_DESCRIPTORS = "/proc/self/fd"

LOG_LIMIT = 64 * 1024 * 1024
"""Bytes to which the write-ahead log is cut; it is longer only while a reader holds it."""

LAYOUT = (f"PRAGMA page_size={PAGE_BYTES}", "PRAGMA auto_vacuum=2")


@dataclass(frozen=True, slots=True)
class FileTuning:
    """`cache`: bytes of pages that each connection keeps; `log`: bytes to which the log is cut."""

    cache: int = 8 * 1024 * 1024
    log: int = LOG_LIMIT

    @property
    def pragmas(self) -> tuple[str, ...]:
        """Measured for blocks of 300 B to 1 MiB.

        With NORMAL a power failure may take the blocks since the last flush, never the file.
        """
        return (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=NORMAL",
            "PRAGMA secure_delete=0",
            f"PRAGMA wal_autocheckpoint={min(1024, self.log // (2 * PAGE_BYTES))}",
            f"PRAGMA journal_size_limit={self.log}",
            f"PRAGMA cache_size=-{self.cache // 1024}",
            "PRAGMA busy_timeout=5000",
        )

    def within(self, quota: int) -> FileTuning:
        """The same with a log that is a small part of that quota (0 = no bound)."""
        return replace(self, log=min(self.log, max(_SHORTEST_LOG, quota // 16))) if quota else self


STANDARD = FileTuning()
EDGE = FileTuning(cache=2 * 1024 * 1024, log=16 * 1024 * 1024)
"""For little memory; the log is cut as seldom, for a page that changes often is then written once."""


def all_pages(connection: sqlite3.Connection) -> int:
    pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    return pages


def free_pages(connection: sqlite3.Connection) -> int:
    """Pages of the file that hold nothing and will be filled first."""
    pages: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    return pages


def give_back(connection: sqlite3.Connection, pages: int) -> int:
    """Cut up to that many free pages off the file; how many are left."""
    free = free_pages(connection)
    for _ in range(min(pages, free)):
        # One page a call, whatever its argument says: a driver that steps once stops it after the first.
        connection.execute("PRAGMA incremental_vacuum(1)").close()
    return max(0, free - pages)


def checkpoint(connection: sqlite3.Connection) -> None:
    """Move the write-ahead log into the file, as far as no connection reads it."""
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").close()


def uncache(connection: sqlite3.Connection, table: str, rows: Sequence[int]) -> None:
    """Have these rows come from the disk when they are next read: no page of them stays in memory.

    Those that the write-ahead log still holds do not.
    """
    connection.execute("PRAGMA shrink_memory").close()
    (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
    file = _descriptor(connection.execute("PRAGMA database_list").fetchone()[2])
    if file is not None:
        drop_cached(file, RowPages(file, PAGE_BYTES, root).ranges(rows))


def _descriptor(path: str) -> int | None:
    """SQLite's own descriptor of the file: to close another one would drop its locks (POSIX, fcntl).

    None where the system does not tell.
    """
    sought = os.stat(path)
    for name in os.listdir(_DESCRIPTORS) if os.path.isdir(_DESCRIPTORS) else ():
        with suppress(OSError):  # the one that listed them
            if os.path.samestat(os.fstat(int(name)), sought):
                return int(name)
    return None


def sync(path: Path) -> None:
    """Bring everything committed so far to the disk itself.

    What left the write-ahead log was synced by the checkpoint that moved it. Closing a descriptor of the log
    drops no lock of SQLite's: those lie on the database and its -shm file.
    """
    for target in (path.with_name(path.name + "-wal"), path.parent):
        sync_path(target)


def file_size(path: Path) -> int:
    """Bytes that the file and its write-ahead log take on the disk."""
    return path.stat().st_blocks * 512 + log_size(path)


def log_size(path: Path) -> int:
    """Bytes of the write-ahead log of that file, of which some or all may be in the file already."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size
    except FileNotFoundError:
        return 0
