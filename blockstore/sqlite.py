"""SqliteBlockstore: every block a row of one file, small blocks and large ones alike."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Generator, Iterable, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from blockstore import sqlite_rows as statements
from blockstore.block import Block
from blockstore.cid import CID, RAW
from blockstore.database import Database, open_database
from blockstore.errors import BlockNotFound, CollectorBusy, StorageFull, StoreUnavailable
from blockstore.rowset import RowSet
from blockstore.sqlite_rows import Row
from blockstore.store import NO_LIMIT, Stat, Usage, holds_only_data, is_leaf, quota_reached, size_text


@dataclass(frozen=True, slots=True)
class Swept:
    """Blocks that were removed together (as raw CIDs), and their bytes."""

    cids: Sequence[CID]
    bytes: int


@asynccontextmanager
async def open_sqlite_blockstore(
    path: Path, *, quota: int = 0, reserve: int = 0
) -> AsyncIterator[SqliteBlockstore]:
    """Open or create the store in that file.

    `quota` bounds the bytes of all blocks; `reserve` bytes of the disk are left free (both 0 = no bound).
    Raises StoreCorrupt, StoreUnavailable.
    """
    async with open_database(path, pragmas=statements.PRAGMAS, schema=statements.SCHEMA) as database:
        last = await database.read(statements.last_id)
        yield SqliteBlockstore(database, quota=quota, reserve=reserve, next_id=last + 1)


class SqliteBlockstore:
    """A Blockstore in one SQLite file. One process at a time (see `lock.py`)."""

    def __init__(self, database: Database, *, quota: int, reserve: int, next_id: int) -> None:
        self._database = database
        self._quota = quota
        self._reserve = reserve
        # Rows are numbered here, upwards only: SQLite gives the number of a deleted last row again, and a
        # collection takes every number from its start on for new.
        self._next_id = next_id
        self._guards = 0
        self._guarded_from = NO_LIMIT
        self._touched = RowSet()
        self._collecting = False
        self.deletions = 0
        """How often blocks were deleted: what is kept of blocks elsewhere is forgotten when it moves on."""

    def __repr__(self) -> str:
        return f"<SqliteBlockstore {self._database.path}>"

    async def get(self, cid: CID) -> Block:
        if cid.is_identity:
            return Block.inline(cid)
        data = await self._database.read(statements.data, cid.multihash)
        if data is None:
            raise BlockNotFound(cid)
        return Block(cid, data)

    async def get_many(self, cids: Sequence[CID]) -> list[Block | None]:
        found = await self._database.read(statements.data_of, _stored(cids))
        return [_block(cid, found.get(cid.multihash)) for cid in cids]

    async def has(self, cid: CID) -> bool:
        return not await self.missing([cid])

    async def missing(self, cids: Sequence[CID]) -> list[CID]:
        found = await self._look(cids)
        return [cid for cid in cids if not (cid.is_identity or cid.multihash in found)]

    async def stat(self, cids: Sequence[CID]) -> list[Stat | None]:
        found = await self._look(cids)
        return [_stat(cid, found.get(cid.multihash)) for cid in cids]

    async def size(self, cid: CID) -> int:
        (stat,) = await self.stat([cid])
        if stat is None:
            raise BlockNotFound(cid)
        return stat.size

    async def put_many(self, blocks: Sequence[Block]) -> None:
        data = {block.cid.multihash: block.data for block in blocks if not block.cid.is_identity}
        if data:
            await self._database.write(self._put, data)

    async def flush(self) -> None:
        try:
            await asyncio.to_thread(statements.sync, self._database.path)
        except OSError as error:
            raise StoreUnavailable(f"cannot sync {self._database.path}: {error.strerror}") from error

    async def delete_many(self, cids: Iterable[CID]) -> None:
        await self._database.write(statements.delete, _stored(cids))
        self.deletions += 1

    async def keys(self) -> AsyncIterator[CID]:
        last = b""
        while page := await self._database.read(statements.keys_after, last):
            for last in page:
                yield CID.v1(RAW, last)

    async def usage(self) -> Usage:
        blocks, used, room = await self._database.read(self._measure)
        return Usage(blocks, used, self._quota, room)

    async def corrupt(self) -> AsyncIterator[CID]:
        """Hash every block anew; the raw CIDs of those whose bytes are no longer what they were."""
        last = b""
        while page := await self._database.read(statements.soundness_after, last):
            for last, sound in page:
                if not sound:
                    yield CID.v1(RAW, last)

    # What the collector of garbage needs (gc.py).

    @contextmanager
    def protect(self) -> Generator[None]:
        """While the block lasts, no collection takes a block that was put in it, be it new or here before.

        For imports: their blocks have no pinned root yet. Hold it until the root is recorded.
        """
        if not self._guards:
            self._guarded_from, self._touched = self._next_id, RowSet()
        self._guards += 1
        try:
            yield
        finally:
            self._guards -= 1

    @asynccontextmanager
    async def collecting(self) -> AsyncIterator[None]:
        """One collection at a time: while it lasts, blocks that are put or looked up count as in use.

        Raises CollectorBusy.
        """
        if self._collecting:
            raise CollectorBusy
        with self.protect():
            self._collecting = True
            try:
                # A put that was under way has not noted its blocks: behind this write they can be seen.
                await self._database.write(statements.totals)
                yield
            finally:
                self._collecting = False

    async def rows(self, cids: Iterable[CID]) -> dict[bytes, Row]:
        """Where those that are here lie, by multihash; looking so does not count as use."""
        return await self._database.read(statements.rows, _stored(cids))

    async def sweep(self, keep: RowSet) -> AsyncIterator[Swept]:
        """Remove, in pages, what is neither in `keep` nor protected. Only inside `collecting`."""
        last = 0
        while page := await self._database.read(statements.ids_between, last, self._guarded_from):
            last = page[-1][0]
            garbage = {row: multihash for row, multihash in page if row not in keep}
            if garbage and (swept := await self._database.write(self._sweep, garbage)).cids:
                self.deletions += 1
                yield swept

    async def reclaim(self, pages: int = 500) -> int:
        """Give up to that many free pages (16 KiB each) back to the disk; how many are left."""
        left = await self._database.write(statements.give_back, pages)
        await self._database.read(statements.checkpoint)  # only now does the file get shorter
        return left

    async def _look(self, cids: Sequence[CID]) -> dict[bytes, Row]:
        if self._collecting:
            # On the writer's connection, so that no sweep comes between the look and the note of it.
            return await self._database.write(self._look_and_touch, _stored(cids))
        return await self.rows(cids)

    # From here on: on the database's threads.

    def _look_and_touch(
        self, connection: sqlite3.Connection, multihashes: Sequence[bytes]
    ) -> dict[bytes, Row]:
        found = statements.rows(connection, multihashes)
        if self._guards:
            for row in found.values():
                self._touched.add(row.id)
        return found

    def _put(self, connection: sqlite3.Connection, data: dict[bytes, bytes]) -> None:
        known = self._look_and_touch(connection, list(data))
        new = [(multihash, body) for multihash, body in data.items() if multihash not in known]
        if new:
            self._admit(connection, sum(len(body) for _, body in new))
            first, self._next_id = self._next_id, self._next_id + len(new)
            statements.insert(connection, first, new)

    def _sweep(self, connection: sqlite3.Connection, garbage: dict[int, bytes]) -> Swept:
        rows = [row for row in garbage if row not in self._touched]
        removed, size = statements.delete_rows(connection, rows)
        return Swept([CID.v1(RAW, garbage[row]) for row in removed], size)

    def _admit(self, connection: sqlite3.Connection, new: int) -> None:
        """Raises StorageFull, while there is still room to say so."""
        _, used, room = self._measure(connection)
        if new <= room:
            return
        if self._quota and used + new > self._quota:
            raise quota_reached(used, new, self._quota)
        free = statements.disk_free(self._database.path)
        raise StorageFull(
            f"not enough disk space: {size_text(new)} more do not fit; {size_text(free)} are free, of which "
            f"{size_text(self._reserve)} are kept in reserve; free some space, or lower the reserve"
        )

    def _measure(self, connection: sqlite3.Connection) -> tuple[int, int, int]:
        """Blocks, their bytes, and the bytes that may still come."""
        blocks, used = statements.totals(connection)
        room = statements.disk_free(self._database.path) - self._reserve
        room += statements.free_pages(connection) * statements.PAGE_BYTES
        if self._quota:
            room = min(room, self._quota - used)
        return blocks, used, max(0, room)


def _stored(cids: Iterable[CID]) -> list[bytes]:
    return [cid.multihash for cid in cids if not cid.is_identity]


def _block(cid: CID, data: bytes | None) -> Block | None:
    if cid.is_identity:
        return Block.inline(cid)
    return None if data is None else Block(cid, data)


def _stat(cid: CID, row: Row | None) -> Stat | None:
    if cid.is_identity:
        data = Block.inline(cid).data
        return Stat(len(data), not is_leaf(cid, holds_only_data(data)))
    return None if row is None else Stat(row.size, not is_leaf(cid, row.only_data))
