"""Blocks of a folder of an earlier release, moved from their rows into volumes while the store is at work.

From the newest row down, because those lie at the end of the file, which so gets shorter at once. Where it
stopped is kept, and a block is in one place or in the other in every moment.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from blockstore.errors import BlockstoreError, StoreCorrupt
from blockstore.sqlite import file_pages, statements
from blockstore.sqlite.database import SqliteDatabase
from blockstore.sqlite.row_checks import is_sound
from blockstore.store import NO_LIMIT
from blockstore.volumes.block_mover import BlockMover
from blockstore.volumes.placed_rows import INLINE_BYTES, add_extents, add_rows
from blockstore.volumes.volume_appender import Extent

SCHEMA = """
CREATE TABLE IF NOT EXISTS moving(one INTEGER PRIMARY KEY CHECK (one = 1), below INTEGER, bytes INTEGER);
"""

_ROWS = 2048  # that are looked at in one step
_BYTES = 8 * 1024 * 1024  # that are moved in one step
_RETRY = 60.0  # seconds after a trouble, such as a full disk

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MoveProgress:
    """`below`: rows of lower numbers were not looked at yet, 0 when all were.

    `moved` bytes so far; at most `left` more, which is what the file of rows holds.
    """

    below: int
    moved: int
    left: int

    @property
    def done(self) -> bool:
        return self.below == 0


@dataclass(frozen=True, slots=True)
class _InlineBlock:
    row: int
    multihash: bytes
    data: bytes


class InlineMigration:
    """Moves what is too large for its row."""

    def __init__(self, database: SqliteDatabase, mover: BlockMover) -> None:
        self._database = database
        self._mover = mover

    async def progress(self) -> MoveProgress:
        """How far it is."""
        return await self._database.read(_progress)

    async def run(self, shrink: Callable[[], Awaitable[object]]) -> None:
        """Until all is moved, with pauses in which others work; `shrink` is awaited after each step."""
        done = False
        while not done:
            begun = asyncio.get_running_loop().time()
            try:
                done = await self._next(shrink)
            except StoreCorrupt as error:
                _log.error("blocks are not moved into volumes any further: %s", error)
                return
            except BlockstoreError as error:
                _log.warning("moving blocks into volumes goes on in a minute: %s", error)
                await asyncio.sleep(_RETRY)
            await asyncio.sleep(asyncio.get_running_loop().time() - begun)

    async def _next(self, shrink: Callable[[], Awaitable[object]]) -> bool:
        """Whether all was moved before."""
        progress = await self.progress()
        if not progress.done:
            await self.step(progress)
            await shrink()
        return progress.done

    async def step(self, progress: MoveProgress) -> None:
        """Move the next few. Raises StorageFull, StoreUnavailable, StoreCorrupt."""
        async with self._mover.turn:
            blocks, below = await self._database.read(_next_inline, progress.below)
            sound = await asyncio.to_thread(_sound, blocks)
            extents = (
                await self._mover.copy([(block.multihash, block.data) for block in sound]) if sound else []
            )
            await self._database.free(_switch, sound, extents, below)
        if below == 0:
            _log.info("all blocks of the earlier release lie in volumes now")


def _progress(connection: sqlite3.Connection) -> MoveProgress:
    below, moved = connection.execute("SELECT below, bytes FROM moving").fetchone() or (NO_LIMIT, 0)
    pages = connection.execute("PRAGMA page_count").fetchone()[0] - file_pages.free_pages(connection)
    return MoveProgress(below, moved, pages * file_pages.PAGE_BYTES)


def begin(connection: sqlite3.Connection) -> None:
    """A file without blocks has none that are to be moved."""
    if connection.execute("SELECT 1 FROM blocks LIMIT 1").fetchone() is None:
        connection.execute("INSERT OR IGNORE INTO moving VALUES(1, 0, 0)")


def _next_inline(connection: sqlite3.Connection, below: int) -> tuple[list[_InlineBlock], int]:
    """Blocks that are too large for their rows, and below which row to go on."""
    connection.execute("SAVEPOINT look")  # one snapshot for all looks
    try:
        return _inline_below(connection, below)
    finally:
        connection.execute("RELEASE look")


def _inline_below(connection: sqlite3.Connection, below: int) -> tuple[list[_InlineBlock], int]:
    query = "SELECT id, length(data) FROM blocks WHERE id < ? ORDER BY id DESC LIMIT ?"
    found: list[_InlineBlock] = []
    size, last = 0, 0
    rows = connection.execute(query, (below, _ROWS)).fetchall()
    for row, length in rows:
        if (length or 0) > INLINE_BYTES:
            if found and size + length > _BYTES:
                return found, last
            multihash = connection.execute("SELECT mh FROM blocks WHERE id = ?", (row,)).fetchone()[0]
            found.append(_InlineBlock(row, multihash, statements.large_body(connection, row)))
            size += length
        last = row
    return found, last if len(rows) == _ROWS else 0


def _sound(blocks: Sequence[_InlineBlock]) -> list[_InlineBlock]:
    """What is damaged stays where it is."""
    return [block for block in blocks if is_sound(block.multihash, block.data)]


def _switch(
    connection: sqlite3.Connection, blocks: Sequence[_InlineBlock], extents: Sequence[Extent], below: int
) -> None:
    """From now on the index leads to the volumes, for those that were not deleted meanwhile."""
    here = _still_inline(connection, [block.row for block in blocks])
    moved = [(block, extent) for block, extent in zip(blocks, extents, strict=True) if block.row in here]
    _write_anew(connection, [block for block, _ in moved])
    add_extents(connection, [block.row for block, _ in moved], [extent for _, extent in moved])
    size = sum(extent.bytes for _, extent in moved)
    connection.execute(
        "INSERT INTO moving VALUES(1, ?1, ?2) ON CONFLICT(one) DO UPDATE SET below = ?1, bytes = bytes + ?2",
        (below, size),
    )


def _still_inline(connection: sqlite3.Connection, rows: Sequence[int]) -> set[int]:
    query = (
        "SELECT json_group_array(id) FROM blocks"
        " WHERE id IN (SELECT value FROM json_each(?)) AND length(data) > ?"
    )
    return set(json.loads(connection.execute(query, (json.dumps(rows), INLINE_BYTES)).fetchone()[0]))


def _write_anew(connection: sqlite3.Connection, blocks: Sequence[_InlineBlock]) -> None:
    """As rows that have a place. Removed first: a page of rows that only get shorter is never given up."""
    rows = json.dumps([block.row for block in blocks])
    chosen = "id IN (SELECT value FROM json_each(?))"
    cached = connection.execute(f"SELECT id, size, used, mh FROM cache WHERE {chosen}", (rows,)).fetchall()
    connection.execute(f"DELETE FROM blocks WHERE {chosen}", (rows,)).close()
    add_rows(connection, [(block.row, block.multihash, block.data) for block in blocks])
    connection.executemany("INSERT INTO cache VALUES(?, ?, ?, ?)", cached)
