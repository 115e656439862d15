from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from blockstore.errors import StorageFull, StoreCorrupt, StoreUnavailable
from blockstore.sqlite.database import SqliteDatabase, open_database

PRAGMAS = ("PRAGMA journal_mode=WAL",)
SCHEMA = "CREATE TABLE IF NOT EXISTS numbers(number INTEGER PRIMARY KEY);"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    async with open_database(tmp_path / "test.db", pragmas=PRAGMAS, schema=SCHEMA) as opened:
        yield opened


def add(connection: sqlite3.Connection, *numbers: int) -> int:
    connection.executemany("INSERT INTO numbers VALUES(?)", [(number,) for number in numbers])
    return len(numbers)


def every(connection: sqlite3.Connection) -> set[int]:
    return {number for (number,) in connection.execute("SELECT number FROM numbers")}


def connection_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if "_connection_worker_thread" in thread.name}


@contextmanager
def no_thread_left() -> Generator[None]:
    before = connection_threads()
    yield
    for thread in connection_threads() - before:
        thread.join(10)  # it ends a moment after it said that the connection is closed
        assert not thread.is_alive(), thread


async def test_a_write_is_seen_by_every_reader_once_it_returned(database: SqliteDatabase) -> None:
    assert await database.write(add, 1, 2) == 2
    for _ in range(3):
        assert await database.read(every) == {1, 2}


async def test_a_write_that_raises_leaves_nothing_behind(database: SqliteDatabase) -> None:
    def half(connection: sqlite3.Connection) -> None:
        add(connection, 1)
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        await database.write(half)
    assert await database.read(every) == set()
    await database.write(add, 1)


async def test_of_writes_that_share_a_transaction_only_the_one_that_raises_is_undone(
    database: SqliteDatabase,
) -> None:
    await database.write(add, 5)
    results = await asyncio.gather(
        *(database.write(add, n, 100 + n) for n in range(10)), return_exceptions=True
    )
    assert isinstance(results[5], sqlite3.IntegrityError)
    assert [result for n, result in enumerate(results) if n != 5] == [2] * 9
    assert await database.read(every) == {*range(10), *range(100, 110)} - {105}


async def test_writes_that_wait_for_each_other_share_transactions(database: SqliteDatabase) -> None:
    def commits(connection: sqlite3.Connection) -> int:
        version: int = connection.execute("PRAGMA data_version").fetchone()[0]
        return version

    seen = []
    for round_ in range(2):  # one reader after the other: each counts the commits of others
        before = [await database.read(commits) for _ in range(2)]
        await asyncio.gather(*(database.write(add, 1000 * round_ + number) for number in range(64)))
        after = [await database.read(commits) for _ in range(2)]
        seen.append(max(b - a for a, b in zip(before, after, strict=True)))
    assert max(seen) <= 3
    assert len(await database.read(every)) == 128


async def test_a_refusing_disk_undoes_every_write_of_the_transaction(database: SqliteDatabase) -> None:
    def fill(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE filler(data BLOB)")
        connection.execute("INSERT INTO filler VALUES(zeroblob(1000000))")

    def limit(connection: sqlite3.Connection, pages: int) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}").close()

    await database.write(limit, 20)
    results = await asyncio.gather(database.write(add, 1), database.write(fill), return_exceptions=True)
    assert isinstance(results[1], StorageFull)
    assert "disk is full" in str(results[1])
    kept = await database.read(every)
    assert kept == (set() if isinstance(results[0], StorageFull) else {1})
    await database.write(limit, 10_000)
    await database.write(fill)
    await database.write(add, 2)
    assert await database.read(every) == kept | {2}


async def test_a_cancelled_caller_does_not_stop_what_has_begun(database: SqliteDatabase) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> None:
        begun.set()
        assert go_on.wait(10)
        add(connection, 1)

    caller = asyncio.create_task(database.write(slow))
    await asyncio.to_thread(begun.wait, 10)
    never = asyncio.create_task(database.write(add, 2))
    after = asyncio.create_task(database.write(add, 3))
    await asyncio.sleep(0)  # both stand in the queue now
    caller.cancel()
    never.cancel()
    go_on.set()
    assert await after == 1
    assert await database.read(every) == {1, 3}


async def test_leaving_waits_for_writes_and_ends_every_thread(tmp_path: Path) -> None:
    with no_thread_left():
        async with open_database(tmp_path / "test.db", pragmas=PRAGMAS, schema=SCHEMA) as database:
            assert len(connection_threads()) >= 3
            writes = [asyncio.create_task(database.write(add, number)) for number in range(100)]
            await asyncio.sleep(0)  # queued, not done
    assert [await write for write in writes] == [1] * 100
    async with open_database(tmp_path / "test.db", pragmas=PRAGMAS, schema=SCHEMA) as database:
        assert len(await database.read(every)) == 100


@pytest.mark.parametrize(
    "content", [b"this is not a database" * 100, b"SQLite format 3\x00" + b"\xff" * 5000]
)
async def test_a_file_that_is_no_database_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "test.db"
    path.write_bytes(content)
    with no_thread_left(), pytest.raises(StoreCorrupt, match=r"test\.db is damaged, or is not a database"):
        async with open_database(path, pragmas=PRAGMAS, schema=SCHEMA):
            raise AssertionError("opened")
    assert path.read_bytes() == content


async def test_a_missing_folder_says_so(tmp_path: Path) -> None:
    with no_thread_left(), pytest.raises(StoreUnavailable, match=r"nowhere/test\.db"):
        async with open_database(tmp_path / "nowhere" / "test.db", pragmas=PRAGMAS, schema=SCHEMA):
            raise AssertionError("opened")


@pytest.mark.parametrize("name", [b"CREATE TABLE", b"tablelineslines"])
async def test_a_schema_whose_error_cannot_even_be_printed_says_so(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / "test.db"
    async with open_database(path, pragmas=[], schema="CREATE TABLE IF NOT EXISTS lines(line)"):
        pass
    data = path.read_bytes()
    assert name in data
    path.write_bytes(data.replace(name, name[:6] + b"\xce" + name[7:]))
    with no_thread_left(), pytest.raises(StoreCorrupt, match=r"test\.db is damaged, or is not a database"):
        async with open_database(path, pragmas=[], schema="CREATE TABLE IF NOT EXISTS lines(line)"):
            pass
