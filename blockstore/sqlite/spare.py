"""The spare file of a store: which rows of the other one are damaged, and where good bytes go instead.

A damaged row is left as it is, for ever: to delete or change it is to follow pointers that may be wrong, and
so to spoil other blocks. Its name is noted here; good bytes of it are kept here. So are new blocks that the
damaged file refuses to take.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from blockstore.cid import CID, RAW
from blockstore.common.packed_rows import RowLayout, joined_blobs, part_blobs
from blockstore.sqlite import file_pages, mark_rows, statements, totals
from blockstore.sqlite import row_checks as checks
from blockstore.sqlite.block_rows import INLINE, BlockRows
from blockstore.sqlite.database import SqliteDatabase, open_database
from blockstore.sqlite.row_checks import Checked

SCHEMA = (
    statements.SCHEMA
    + mark_rows.SCHEMA
    + totals.SCHEMA
    + "CREATE TABLE IF NOT EXISTS damaged(mh BLOB PRIMARY KEY, reason TEXT NOT NULL) WITHOUT ROWID;"
)
REMEDY = "restore it from a backup, or remove it, and what other members hold is fetched again"

MOST_LOGGED = 100
"""Damaged blocks that are logged one by one in a run of the program; the rest is a number."""

RECHECKED = 1000
"""Damaged blocks that are read once more when the store is opened: perhaps it was the disk's bad day."""

_NAMES = RowLayout(mh=bytes)

_log = logging.getLogger(__name__)


def spare_path(path: Path) -> Path:
    """`blocks.db` -> `blocks.spare.db`."""
    return path.with_name(f"{path.stem}.spare{path.suffix}")


class Spare:
    """Made when the first damage is found; a store without damage has none."""

    def __init__(self, beside: Path, stack: AsyncExitStack) -> None:
        self.path = spare_path(beside)
        self.file: SqliteDatabase | None = None
        self.checked = Checked()
        self.found = asyncio.Event()
        """Set when more damage was found; the caller that looks into it clears it."""
        self._stack = stack
        self._opening = asyncio.Lock()
        self._logged = self._told_replaced = 0

    def __repr__(self) -> str:
        return f"<Spare {self.path}{'' if self.file else ', not made'}>"

    async def open(self) -> SqliteDatabase:
        """The file, made where there is none. Raises StoreCorrupt, StoreUnavailable, StorageFull."""
        async with self._opening:
            if self.file is None:
                opening = open_database(
                    self.path,
                    layout=file_pages.LAYOUT,
                    pragmas=file_pages.STANDARD.pragmas,
                    schema=SCHEMA,
                    check=False,
                    remedy=REMEDY,
                )
                file = await self._stack.enter_async_context(opening)
                await file.write(totals.begin, INLINE.count)
                self.file = file
            return self.file

    async def hidden(self, names: Sequence[bytes]) -> set[bytes]:
        """Those whose row in the other file is damaged."""
        return await self.file.read(_hidden, names) if self.file else set()

    async def damaged(self) -> int:
        """Blocks that are damaged and did not come again since."""
        return await self.file.read(_count) if self.file else 0

    async def note(self, damaged: Mapping[bytes, str]) -> None:
        """Rows of the other file that are missing from now on, until they come again. Each is given once."""
        fresh = await (await self.open()).write(_note, damaged)
        self._log_damage(fresh, damaged)

    async def drop(self, damaged: Mapping[bytes, str]) -> None:
        """The same for rows that were kept here."""
        fresh = await (await self.open()).write(_drop, damaged)
        self._log_damage(fresh, damaged)

    def tell_replaced(self, names: Iterable[bytes]) -> None:
        """Of damaged blocks: good bytes of them are here now."""
        for name in names:
            if self._told_replaced < MOST_LOGGED:
                self._told_replaced += 1
                _log.info("block %s has come again, and is good", CID.v1(RAW, name))

    async def recheck(self, main: SqliteDatabase, source: BlockRows) -> None:
        """Take back what reads well now."""
        if self.file is None:
            return
        if await self.damaged():
            self.found.set()  # pins that need them may not have been repaired before the last run ended
        for name in await self.file.read(_noted, RECHECKED):
            if (await main.read(Checked(source).read, [name])).bodies:
                await self.file.write(_forget, name)

    def _log_damage(self, fresh: Sequence[bytes], reasons: Mapping[bytes, str]) -> None:
        for name in fresh[: MOST_LOGGED - self._logged]:
            _log.error(
                "block %s is damaged on this disk (%s): it counts as missing until it comes again",
                CID.v1(RAW, name),
                reasons[name],
            )
        if self._logged < MOST_LOGGED <= self._logged + len(fresh):
            _log.error("%d blocks are damaged: look at the disk; further ones are only counted", MOST_LOGGED)
        self._logged = min(MOST_LOGGED, self._logged + len(fresh))
        if fresh:
            self.found.set()


def keep(connection: sqlite3.Connection, first: int, blocks: Sequence[tuple[bytes, bytes]]) -> None:
    """Good bytes, in place of what is here of them that does not read well."""
    new: list[tuple[bytes, bytes]] = []
    for name, body in blocks:
        found = statements.bodies(connection, [name]).get(name)
        if found is None or not checks.is_sound(name, found[1]):
            new.append((name, body))
    statements.delete(connection, [name for name, _ in new])
    statements.insert(connection, first, new)


def _hidden(connection: sqlite3.Connection, names: Iterable[bytes]) -> set[bytes]:
    query = (
        f"SELECT {joined_blobs('damaged.mh')} FROM {_NAMES.rows} AS wanted"
        " CROSS JOIN damaged ON damaged.mh = wanted.mh"
    )
    found = connection.execute(query, _NAMES.pack([name] for name in names)).fetchone()
    return set(part_blobs(*found))


def _count(connection: sqlite3.Connection) -> int:
    query = "SELECT count(*) FROM damaged WHERE mh NOT IN (SELECT mh FROM blocks)"
    number: int = connection.execute(query).fetchone()[0]
    return number


def _note(connection: sqlite3.Connection, damaged: Mapping[bytes, str]) -> list[bytes]:
    """Those that were not noted before."""
    query = "INSERT OR IGNORE INTO damaged VALUES(?, ?)"
    return [item[0] for item in damaged.items() if connection.execute(query, item).rowcount]


def _drop(connection: sqlite3.Connection, damaged: Mapping[bytes, str]) -> list[bytes]:
    """Those whose row did not become a good one meanwhile."""
    bad = [name for name in damaged if not Checked().read(connection, [name]).bodies]
    statements.delete(connection, bad)
    _note(connection, {name: damaged[name] for name in bad})
    return bad


def _noted(connection: sqlite3.Connection, limit: int) -> list[bytes]:
    query = "SELECT mh FROM damaged WHERE mh NOT IN (SELECT mh FROM blocks) LIMIT ?"
    return [row[0] for row in connection.execute(query, (limit,))]


def _forget(connection: sqlite3.Connection, name: bytes) -> None:
    connection.execute("DELETE FROM damaged WHERE mh = ?", (name,))
