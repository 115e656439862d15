"""What is used of aiosqlite beside its public calls is as it was; and no thread is left."""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
import threading
from functools import partial
from importlib.metadata import version
from pathlib import Path

import aiosqlite
import pytest

from blockstore.sqlite.connection import SqliteConnection, open_connection


def uri(path: Path) -> str:
    return f"file:{path}"


def workers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if "worker_thread" in thread.name}


def test_aiosqlite_has_what_is_used_of_it() -> None:
    assert version("aiosqlite").startswith("0.22."), "see blockstore/sqlite/connection.py"
    execute = aiosqlite.Connection._execute  # white box: our own file uses it, which is what is tested
    parameters = inspect.signature(execute).parameters.values()
    assert [str(one) for one in parameters] == ["self", "fn", "*args", "**kwargs"]
    assert inspect.iscoroutinefunction(execute)
    assert isinstance(vars(aiosqlite.Connection)["_conn"], property)  # white box: as above
    thread = SqliteConnection(partial(sqlite3.connect, ":memory:"), 1)._thread  # white box: as above
    assert isinstance(thread, threading.Thread)


async def test_an_operation_is_one_trip_to_a_thread_of_its_own(tmp_path: Path) -> None:
    async with open_connection(uri(tmp_path / "a.db")) as connection:
        there = [await connection.run(lambda _: threading.get_ident()) for _ in range(2)]
        assert there[0] == there[1] != threading.get_ident()
        assert await connection.run(lambda raw: raw.execute("SELECT 7").fetchone()) == (7,)
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await connection.run(lambda raw: raw.execute("SELECT * FROM nowhere"))
    with pytest.raises(ValueError, match="no active connection"):
        await connection.run(lambda _: None)


async def test_the_public_calls_of_aiosqlite_work_on_it_too(tmp_path: Path) -> None:
    async with open_connection(uri(tmp_path / "a.db")) as connection:
        assert list(await connection.execute_fetchall("SELECT 7")) == [(7,)]


async def test_a_file_that_cannot_be_opened_leaves_no_thread(tmp_path: Path) -> None:
    before = workers()
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        async with open_connection(uri(tmp_path / "nowhere" / "a.db")):
            raise AssertionError("opened")
    assert workers() <= before


async def test_an_opening_that_is_broken_off_leaves_no_thread(tmp_path: Path) -> None:
    async def opened() -> None:
        async with open_connection(uri(tmp_path / "a.db")):
            raise AssertionError("opened")

    before = workers()
    opening = asyncio.create_task(opened())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert workers() <= before
