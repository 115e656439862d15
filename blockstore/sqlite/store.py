"""SqliteBlockstore: every block a row of one file, small blocks and large ones alike."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Generator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from blockstore.block import Block
from blockstore.cid import CID, RAW
from blockstore.disk.free_space import disk_free
from blockstore.errors import BlockNotFound, CollectorBusy, StoreCorrupt, StoreUnavailable, quota_reached
from blockstore.leaf import holds_only_data, is_leaf
from blockstore.marks import Marks
from blockstore.sqlite import cached_rows as cache
from blockstore.sqlite import row_checks as checks
from blockstore.sqlite import statements
from blockstore.sqlite.capacity import CACHE_SHARE, Capacity, CapacityLimits
from blockstore.sqlite.database import Ballast, DamagedRow, Database, open_database
from blockstore.sqlite.file_marks import FileMarks
from blockstore.sqlite.row_bitmap import RowBitmap
from blockstore.sqlite.row_checks import Checked
from blockstore.sqlite.sound_rows import Found, SoundRows
from blockstore.sqlite.spare import REMEDY, Spare, keep
from blockstore.sqlite.statements import Row
from blockstore.store import NO_LIMIT, StoreStat, Usage

_BLOCKS_A_CHECK = 16  # at most 32 MiB of data at once

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """Blocks that were removed together (as raw CIDs), and their bytes."""

    cids: Sequence[CID]
    bytes: int


@asynccontextmanager
async def open_sqlite_blockstore(
    path: Path,
    *,
    quota: int = 0,
    reserve: int = 0,
    cache_share: float = CACHE_SHARE,
    ballast: Ballast | None = None,
) -> AsyncIterator[SqliteBlockstore]:
    """Open or create the store in that file.

    `quota` bounds the bytes of all blocks; `reserve` bytes of the disk are left free (both 0 = no bound). Of
    that room cached blocks take up to `cache_share` (0 to 1). `ballast` is given up to delete on a full disk.
    Raises StoreCorrupt, StoreUnavailable.
    """
    async with AsyncExitStack() as stack:
        spare = Spare(path, stack)
        if spare.path.exists():
            await spare.open()
        database = await stack.enter_async_context(
            open_database(
                path,
                layout=statements.LAYOUT,
                pragmas=statements.PRAGMAS,
                schema=statements.SCHEMA + cache.SCHEMA,
                check=False,
                remedy=REMEDY,
                ballast=ballast,
            )
        )
        await _begin_totals(database)
        await spare.recheck(database)
        last = max([await _last_id(file) for file in (database, spare.file) if file])
        yield SqliteBlockstore(
            database,
            spare,
            Capacity(path, CapacityLimits(quota, reserve, cache_share), await _last_use(database)),
            next_id=last + 1,
        )


class SqliteBlockstore:
    """A Blockstore in one SQLite file. One process at a time (see `lock.py`).

    Every block is hashed when it is first read, and again when that is a day ago. One that is damaged, or
    that SQLite refuses to read, counts as missing; put again, it lies in the spare file (`spare.py`).
    """

    def __init__(self, database: Database, spare: Spare, room: Capacity, *, next_id: int) -> None:
        self._database = database
        self._spare = spare
        self._room = room
        self._quota = room.limits.quota
        self._rows = SoundRows(database, spare)
        self.marks: Marks = FileMarks(self._rows, spare)
        # Rows are numbered here, upwards only: SQLite gives the number of a deleted last row again, and a
        # collection takes every number from its start on for new.
        self._next_id = next_id
        self._numbering = threading.Lock()  # the threads of two files take numbers
        self._guards = 0
        self._guarded_from = NO_LIMIT
        self._touched = RowBitmap()
        self._collecting = False
        self._deletions = 0

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
        data = {block.cid.multihash: block.data for block in blocks if not block.cid.is_identity}
        if not data:
            return
        apart = await self._rows.apart(list(data))
        if rest := {name: body for name, body in data.items() if name not in apart}:
            apart |= await self._put_here(rest)
        if apart:
            await self._put_aside({name: data[name] for name in apart})

    async def flush(self) -> None:
        for file in self._rows.files():
            try:
                await asyncio.to_thread(statements.sync, file.path)
            except OSError as error:
                raise StoreUnavailable(f"cannot sync {file.path}: {error.strerror}") from error

    async def delete_many(self, cids: Iterable[CID]) -> None:
        names = _stored(cids)
        hidden = await self._spare.hidden(names)
        if self._spare.file is not None:
            await self._spare.file.write(statements.delete, names)
        await self._database.free(statements.delete, [name for name in names if name not in hidden])
        self._deletions += 1

    async def keys(self) -> AsyncIterator[CID]:
        for file in self._rows.files():
            last = b""
            while page := await file.read(statements.keys_after, last):
                for last in page:
                    yield CID.v1(RAW, last)

    async def usage(self) -> Usage:
        blocks, used, room = await self._measured(self._database)
        for file in self._rows.files()[1:]:
            more, size, _ = await self._measured(file)
            blocks, used = blocks + more, used + size
            room = min(room, max(0, self._quota - used)) if self._quota else room
        cached = await self._cached()
        return Usage(blocks, used, self._quota, room + cached, await self._spare.damaged(), cached)

    async def corrupt(self) -> AsyncIterator[CID]:
        """Hash every block anew; the raw CIDs of those whose bytes are no longer what they were."""
        checked = Checked()
        last = b""
        while page := await self._database.read(statements.keys_after, last):
            last = page[-1]
            for start in range(0, len(page), _BLOCKS_A_CHECK):
                names = page[start : start + _BLOCKS_A_CHECK]
                sound = await self._rows.bodies(names, checked)
                for name in names:
                    if name not in sound:
                        yield CID.v1(RAW, name)

    @property
    def deletions(self) -> int:
        """Moves when blocks were deleted, or lost: then what is kept of blocks elsewhere is forgotten."""
        return self._deletions + self._rows.losses

    async def until_damaged(self) -> None:
        """Wait until more blocks are found damaged; what was found before the call counts too."""
        await self._spare.found.wait()
        self._spare.found.clear()

    # Blocks that came only because somebody read them (cached.py).

    async def put_cached(self, blocks: Sequence[Block]) -> None:
        """As `put_many`, of blocks that may be let go again, least recently used first.

        They take the place of other cached blocks only, and what does not fit into the share is not kept.
        What was damaged is put for good: perhaps a pin needs it. Raises StorageFull.
        """
        data = {block.cid.multihash: block for block in blocks if not block.cid.is_identity}
        apart = await self._rows.apart(list(data))
        if rest := {name: block.data for name, block in data.items() if name not in apart}:
            self._room.may_cache = True  # before anybody can see them
            evicted = await self._database.write(self._put_cached, rest)
            self._deletions += evicted
        if apart:
            await self.put_many([data[name] for name in apart])

    async def claim(self, cids: Sequence[CID]) -> set[CID]:
        """Of blocks that were just found here: they stay here, cached no more. Those that are gone again."""
        if not self._room.may_cache:
            return set()
        names = _stored(cids)
        try:
            gone = await self._database.write(cache.claim_names, names)
        except StoreCorrupt:  # one of them is damaged, and so missing: the others are claimed all the same
            gone = [name for name in names if await self._is_gone(name)]
        if gone:
            gone = list(set(gone) - await self._rows.apart(gone))
        return {cid for cid in cids if cid.multihash in gone}

    async def _is_gone(self, name: bytes) -> bool:
        try:
            return bool(await self._database.write(cache.claim_names, [name]))
        except StoreCorrupt:
            return False

    def note_use(self, cids: Iterable[CID]) -> None:
        """These were read just now."""
        self._room.note_use(_stored(cids))

    # What the collector of garbage needs (gc.py).

    @contextmanager
    def protect(self) -> Generator[None]:
        """While the block lasts, no collection takes a block that was put in it, be it new or here before.

        For imports: their blocks have no pinned root yet. Hold it until the root is recorded.
        """
        if not self._guards:
            self._guarded_from, self._touched = self._next_id, RowBitmap()
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
                for file in self._rows.files():
                    await file.write(_nothing)
                yield
            finally:
                self._collecting = False

    async def rows(self, cids: Iterable[CID]) -> dict[bytes, list[Row]]:
        """Where those that are here lie, damaged ones too, by multihash; looking so does not count as use.

        Raises StoreCorrupt where that cannot be told.
        """
        return await self._rows.all_rows(_stored(cids))

    async def sweep(self, keep: RowBitmap) -> AsyncIterator[Swept]:
        """Remove, in pages, what is neither in `keep` nor protected. Only inside `collecting`.

        Damaged rows stay, and so do all behind a page that SQLite cannot read, and all of a file where one
        page holds something else.
        """
        for file in self._rows.files():
            if not await self._in_order(file):
                continue
            last = 0
            while page := await self._page(file, last):
                last = page[-1][0]
                garbage = {row: multihash for row, multihash in page if row not in keep}
                if garbage and (swept := await self._sweep_page(file, garbage)).cids:
                    self._deletions += 1
                    yield swept

    async def reclaim(self, pages: int = 100) -> int:
        """Give up to that many free pages (16 KiB each) back to the disk; how many are left."""
        left = await self._database.free(statements.give_back, pages)
        # Only a checkpoint makes the file shorter. As long as the log holds pages behind its end, it gets
        # longer first, for which there may be no room.
        path = self._database.path
        if not left or disk_free(path) > statements.log_size(path):
            await self._database.read(statements.checkpoint)
        return left

    async def _look(self, cids: Sequence[CID]) -> dict[bytes, Row]:
        # While collecting on the writer's connection, so that no sweep comes between the look and the note.
        return await self._rows.look(_stored(cids), self._look_and_touch, on_writer=self._collecting)

    async def _put_here(self, data: dict[bytes, bytes]) -> set[bytes]:
        """Put what the first file takes; the names of those that it does not, or holds damaged."""
        try:
            known, evicted = await self._database.write(self._put, data)
            self._deletions += evicted
        except (StoreCorrupt, sqlite3.IntegrityError) as error:
            self._rows.tell_refusals({next(iter(data)): str(error.__cause__ or error)})
            known = list(data)
        if self._spare.file is not None:
            known = list(data)  # a page that is damaged may have swallowed them: they are read back
        if not known:
            return set()
        return set(known) - set(await self._rows.bodies(known))

    async def _put_aside(self, data: dict[bytes, bytes]) -> None:
        new = sum(map(len, data.values()))
        usage = await self.usage()
        if self._quota and usage.bytes + new > self._quota:
            raise quota_reached(usage.bytes, new, self._quota)
        await (await self._spare.open()).write(self._keep, data)

    async def _cached(self) -> int:
        try:
            return await self._database.read(cache.total)
        except StoreCorrupt:
            return 0  # as with the other sums

    async def _measured(self, file: Database) -> tuple[int, int, int]:
        try:
            return await file.read(self._room.measure)
        except StoreCorrupt:
            return 0, 0, 0  # the page with the sums is gone, and with it the file takes no more

    async def _in_order(self, file: Database) -> bool:
        """Whether its rows are where they belong, as far as SQLite can read them."""
        last = 0
        try:
            while page := await file.read(statements.ids_between, last, self._guarded_from):
                last = page[-1][0]
        except StoreCorrupt as error:
            if isinstance(error.__cause__, DamagedRow):
                _log.error("no garbage is collected of %s: %s", file.path, error)
                return False
        return True

    async def _page(self, file: Database, last: int) -> list[tuple[int, bytes]]:
        try:
            page = await file.read(statements.ids_between, last, self._guarded_from)
        except StoreCorrupt as error:
            _log.error("garbage is collected of a part of the blocks only: %s", error)
            return []
        return page

    async def _sweep_page(self, file: Database, garbage: dict[int, bytes]) -> Swept:
        """Remove them together; where SQLite refuses, all of them stay."""
        hidden = await self._spare.hidden(list(garbage.values())) if file is self._database else ()
        garbage = {row: name for row, name in garbage.items() if name not in hidden}
        try:
            return await file.free(self._sweep, garbage)
        except StoreCorrupt as error:
            _log.error("%d blocks that nobody needs could not be removed: %s", len(garbage), error)
            return Swept((), 0)

    # From here on: on the database's threads.

    def _look_and_touch(self, connection: sqlite3.Connection, multihashes: Sequence[bytes]) -> Found:
        found, refused = checks.rows(connection, multihashes)
        if self._guards:
            for row in found.values():
                self._touched.add(row.id)
        return found, refused

    def _put(self, connection: sqlite3.Connection, data: dict[bytes, bytes]) -> tuple[list[bytes], bool]:
        """Those that were here before, and were not looked at lately; whether cached blocks made way."""
        known, refused = self._look_and_touch(connection, list(data))
        if refused:
            raise StoreCorrupt(next(iter(refused.values())))
        new = [(multihash, body) for multihash, body in data.items() if multihash not in known]
        self._room.claim(connection, [row.id for row in known.values()])
        evicted = False
        if new:
            evicted = self._room.admit(connection, sum(len(body) for _, body in new))
            statements.insert(connection, self._numbers(len(new)), new)
        return [name for name, row in known.items() if row.id not in self._rows.checked], evicted

    def _put_cached(self, connection: sqlite3.Connection, data: dict[bytes, bytes]) -> bool:
        """Whether other cached blocks made way."""
        known, refused = checks.rows(connection, list(data))
        new = [item for item in data.items() if item[0] not in known and item[0] not in refused]
        if not new:
            return False
        evicted = self._room.admit_cached(connection, sum(len(body) for _, body in new))
        first = self._numbers(len(new))
        statements.insert(connection, first, new)
        self._room.add_cached(connection, first, new)
        return evicted

    def _keep(self, connection: sqlite3.Connection, data: dict[bytes, bytes]) -> None:
        self._look_and_touch(connection, list(data))
        keep(connection, self._numbers(len(data)), list(data.items()))

    def _numbers(self, count: int) -> int:
        """The first of as many numbers for new rows."""
        with self._numbering:
            first, self._next_id = self._next_id, self._next_id + count
            return first

    def _sweep(self, connection: sqlite3.Connection, garbage: dict[int, bytes]) -> Swept:
        rows = [row for row in garbage if row not in self._touched]
        removed, size = statements.delete_rows(connection, rows)
        return Swept([CID.v1(RAW, garbage[row]) for row in removed], size)


async def _begin_totals(database: Database) -> None:
    try:
        await database.write(statements.begin_totals)
        await database.write(cache.begin)
    except StoreCorrupt as error:
        _log.error("%s; new blocks go into the spare file", error)


async def _last_id(file: Database) -> int:
    """A number that no row is above."""
    try:
        return await file.read(statements.last_id)
    except StoreCorrupt:
        return int(time.time() * 1e6)


async def _last_use(file: Database) -> int:
    try:
        return await file.read(cache.latest_use)
    except StoreCorrupt:
        return 1


def _nothing(connection: sqlite3.Connection) -> None:
    """Behind whatever is being written."""


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
    return None if row is None else StoreStat(row.size, not is_leaf(cid, row.only_data))
