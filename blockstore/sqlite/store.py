"""SqliteBlockstore: every block a row of one file, small blocks and large ones alike."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager

from blockstore.block import Block
from blockstore.cid import CID, RAW
from blockstore.disk.free_space import disk_free
from blockstore.errors import BlockNotFound, BlockstoreError, StorageFull, StoreUnavailable
from blockstore.leaf import holds_only_data, is_leaf
from blockstore.marks import Marks
from blockstore.sqlite import file_pages, statements
from blockstore.sqlite.block_rows import INLINE, BlockRows
from blockstore.sqlite.block_writer import BlockWriter
from blockstore.sqlite.capacity import StoreCapacity
from blockstore.sqlite.database import SqliteDatabase
from blockstore.sqlite.file_marks import FileMarks
from blockstore.sqlite.reservations import Reservations
from blockstore.sqlite.row_numbers import RowNumbers
from blockstore.sqlite.sound_rows import SoundRows
from blockstore.sqlite.spare import Spare
from blockstore.sqlite.statements import Row
from blockstore.sqlite.sweeper import Sweeper
from blockstore.sqlite.usage_meter import UsageMeter
from blockstore.sqlite.used_rows import UsedRows
from blockstore.sqlite.verifier import Verifier
from blockstore.store import StoreStat, Usage
from blockstore.upkeep import Collection, Located, Moving, Place, PutCounts, Reservation, Verified

_EVICTED_AT_ONCE = 32 * 1024 * 1024


class SqliteBlockstore:
    """A CollectedStore, VerifiedStore and ReservedStore in one SQLite file.

    One process at a time (see `blockstore/disk/folder_lock.py`).
    Every block is hashed when it is first read, and again when that is a day ago. One that is damaged, or
    that SQLite refuses to read, counts as missing; put again, it lies in the spare file (`spare.py`).
    """

    def __init__(
        self,
        database: SqliteDatabase,
        spare: Spare,
        capacity: StoreCapacity,
        numbers: RowNumbers,
        source: BlockRows = INLINE,
    ) -> None:
        self._database = database
        self._spare = spare
        self._source = source
        self._rows = SoundRows(database, spare, source)
        self._used = UsedRows(numbers)
        self._meter = UsageMeter(database, spare, self._rows, capacity)
        self._verifier = Verifier(self._rows, numbers)
        self._reservations = Reservations(self._room, capacity.refusal)
        self._deletions = 0
        self.capacity = capacity
        self.marks: Marks = FileMarks(self._rows, spare)
        self.writer = BlockWriter(database, spare, self._rows, capacity, numbers, self._used, source)
        self.sweeper = Sweeper(database, spare, self._rows, self._used, capacity)

    def __repr__(self) -> str:
        return f"<SqliteBlockstore {self._database.path}>"

    async def get(self, cid: CID) -> Block:
        if cid.is_identity:
            return Block.inline(cid)
        (block,) = await self.get_many([cid])
        if block is None:
            raise BlockNotFound(cid)
        return block

    async def get_many(self, cids: Sequence[CID]) -> list[Block | None]:
        found = await self._rows.bodies(_stored(cids))
        return [_block(cid, found.get(cid.multihash)) for cid in cids]

    async def has(self, cid: CID) -> bool:
        return not await self.missing([cid])

    async def missing(self, cids: Sequence[CID]) -> list[CID]:
        found = await self._look(cids)
        return [cid for cid in cids if not (cid.is_identity or cid.multihash in found)]

    async def stat(self, cids: Sequence[CID]) -> list[StoreStat | None]:
        found = await self._look(cids)
        return [_stat(cid, found.get(cid.multihash)) for cid in cids]

    async def size(self, cid: CID) -> int:
        (stat,) = await self.stat([cid])
        if stat is None:
            raise BlockNotFound(cid)
        return stat.size

    async def put_many(self, blocks: Sequence[Block]) -> None:
        self.put_counts.put += len(blocks)
        try:
            await self._put_many(blocks)
        except (BlockstoreError, OSError):
            self.put_counts.failed += len(blocks)
            raise

    async def _put_many(self, blocks: Sequence[Block]) -> None:
        try:
            await self.writer.put_many(blocks)
        except StorageFull:
            if not await self._made_room(sum(len(block.data) for block in blocks)):
                raise
            await self.writer.put_many(blocks)

    async def _made_room(self, need: int) -> bool:
        """Whether cached blocks outside of the file were let go of, and their room given back to the disk."""
        if not await self._database.read(self._source.beside) or need > await self._room():
            return False
        if not (gone := await self._database.free(self.capacity.evict, max(need, _EVICTED_AT_ONCE))):
            return False
        self._deletions += 1
        while await self.reclaim():
            pass
        return gone >= need

    async def flush(self) -> None:
        for file in self._rows.files():
            try:
                await asyncio.to_thread(file_pages.sync, file.path)
            except OSError as error:
                raise StoreUnavailable(f"cannot sync {file.path}: {error.strerror}") from error

    async def delete_many(self, cids: Iterable[CID]) -> None:
        names = _stored(cids)
        hidden = await self._spare.hidden(names)
        if self._spare.file is not None:
            await self._spare.file.write(statements.delete, names)
        await self._database.free(self._delete, [name for name in names if name not in hidden])
        self._deletions += 1

    async def keys(self) -> AsyncIterator[CID]:
        for file in self._rows.files():
            last = b""
            while page := await file.read(statements.keys_after, last):
                for last in page:
                    yield CID.v1(RAW, last)

    async def usage(self) -> Usage:
        return await self._meter.usage(self._reservations.total)

    def reserve(self) -> AbstractContextManager[Reservation]:
        return self._reservations.reserve()

    async def _room(self) -> int:
        """What would still be taken, were nothing reserved."""
        return (await self._meter.usage()).free

    async def verify(self, cids: Sequence[CID]) -> Verified:
        return await self._verifier.verify(cids)

    async def verify_behind(self, place: Place) -> Verified:
        return await self._verifier.verify_behind(place)

    @property
    def put_counts(self) -> PutCounts:
        return self.writer.counts

    @property
    def deletions(self) -> int:
        """Moves when blocks were deleted, or lost: then what is kept of blocks elsewhere is forgotten."""
        return self._deletions + self.writer.evictions + self.sweeper.deletions + self._rows.losses

    async def until_damaged(self) -> None:
        await self._spare.found.wait()
        self._spare.found.clear()

    async def moving(self) -> Moving | None:
        """How far blocks are that an earlier release stored in another form; None when all are."""
        return None

    def protect(self) -> AbstractContextManager[None]:
        return self._used.protect()

    def collecting(self) -> AbstractAsyncContextManager[Collection]:
        return self.sweeper.collecting()

    async def located(self, cids: Sequence[CID]) -> dict[bytes, Located]:
        found = await self._rows.all_rows(_stored(cids))
        return {name: Located(rows[0].id, rows[0].size, rows[0].only_data) for name, rows in found.items()}

    async def reclaim(self, pages: int = 100) -> int:
        """Give up to that many free pages (16 KiB each) back to the disk; how many are left."""
        left = await self._database.free(file_pages.give_back, pages)
        # Only a checkpoint makes the file shorter. As long as the log holds pages behind its end, it gets
        # longer first, for which there may be no room.
        path = self._database.path
        if not left or disk_free(path) > file_pages.log_size(path):
            await self._database.read(file_pages.checkpoint)
        return left

    def _delete(self, connection: sqlite3.Connection, names: Sequence[bytes]) -> None:
        rows = self._source.all_rows(connection, names)
        self._source.delete(connection, [row.id for row in rows.values()])

    async def _look(self, cids: Sequence[CID]) -> dict[bytes, Row]:
        # While collecting on the writer's connection, so that no sweep comes between the look and the note.
        return await self._rows.look(_stored(cids), self._used.look, on_writer=self.sweeper.is_collecting)


def _stored(cids: Iterable[CID]) -> list[bytes]:
    return [cid.multihash for cid in cids if not cid.is_identity]


def _block(cid: CID, data: bytes | None) -> Block | None:
    if cid.is_identity:
        return Block.inline(cid)
    return None if data is None else Block(cid, data)


def _stat(cid: CID, row: Row | None) -> StoreStat | None:
    if cid.is_identity:
        data = Block.inline(cid).data
        return StoreStat(len(data), not is_leaf(cid, holds_only_data(data, len(data))))
    return None if row is None else StoreStat(row.size, not is_leaf(cid, row.only_data), row.id)
