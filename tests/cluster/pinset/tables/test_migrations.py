"""A folder of the previous release becomes one of this while it is read, written and killed."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from random import Random

import pytest
from support.cluster_network import SimNetwork, SimPeer
from support.inline_database import TABLES
from support.old_tables import SCHEMA_1, make_old, write_old_pin
from support.pinset_member import identity, some_cid, some_genesis

from blockstore.cid import CID
from blockstore.sqlite.database import SqliteDatabase, open_database
from cluster.common.pin_codec import encode_pin
from cluster.errors import BadUpdate, LaterRelease
from cluster.interfaces import EVERY_PIN, PinQuery
from cluster.pin import EVERYWHERE, Pin, PinOptions
from cluster.pinset.documents.clocks import decode_clocks
from cluster.pinset.documents.document import Document
from cluster.pinset.documents.document_digest import halves
from cluster.pinset.tables import migrations
from cluster.pinset.tables.schema import PRAGMAS
from cluster.pinset.tables.store import PinsetStore
from cluster.replication.open_pinset import PinsetSettings, open_pinset
from cluster.replication.replicated_pinset import ReplicatedPinset

HOLDERS: list[tuple[str, ...]] = [("p", "q"), ("q",), ()]


def pin(number: int, name: str = "") -> Pin:
    held = HOLDERS[number % 3]
    options = PinOptions(
        name=name or f"n{number % 5}",
        replication_max=len(held) or EVERYWHERE,
        expire_at=None if number % 4 else float(number),
        metadata={"app": f"a{number % 2}"},
    )
    return Pin(some_cid(number), options, held, float(number))


PINS = sorted((pin(number) for number in range(60)), key=lambda one: bytes(one.cid))


@asynccontextmanager
async def tables(path: Path) -> AsyncIterator[SqliteDatabase]:
    """As a node opens them."""
    async with open_database(
        path, pragmas=PRAGMAS, schema=TABLES, prepare=migrations.prepare, readers=1
    ) as opened:
        yield opened


@asynccontextmanager
async def pinset(database: SqliteDatabase) -> AsyncIterator[ReplicatedPinset]:
    peer = SimPeer(SimNetwork(Random(1)), identity(0).peer_id)
    settings = PinsetSettings(page_size=7, migration_page=2)
    async with open_pinset(database, some_genesis(2), identity(0), peer, settings=settings) as opened:
        yield opened


async def filled(path: Path) -> Path:
    async with tables(path) as database, pinset(database) as opened:
        await asyncio.gather(*(opened.put(one) for one in PINS))
        await opened.remove(some_cid(59))
        await opened.put(pin(59))
    return path


@pytest.fixture
async def old(tmp_path: Path) -> Path:
    """What the previous release left of PINS."""
    make_old(await filled(tmp_path / "cluster.db"))
    return tmp_path / "cluster.db"


def everything(path: Path) -> dict[str, list[object]]:
    """The rows of a pinset's tables, without numbers and stamps that were given out."""
    with closing(sqlite3.connect(path)) as db:
        return {
            "pins": db.execute(
                "SELECT cid, name, expire_at, created, everywhere FROM pins ORDER BY 1"
            ).fetchall(),
            "allocated": db.execute(
                "SELECT peers.peer, cid FROM allocated JOIN peers ON id = allocated.peer ORDER BY 1, 2"
            ).fetchall(),
            "metadata": db.execute("SELECT * FROM metadata ORDER BY 1, 2, 3").fetchall(),
            "removed": db.execute("SELECT * FROM removed ORDER BY 1").fetchall(),
        }


def form(path: Path) -> dict[str, object]:
    """Columns and indexes of every table, whatever statement made them."""
    with closing(sqlite3.connect(path)) as db:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: (
                db.execute(f"PRAGMA table_info({name})").fetchall(),
                sorted(row[1:] for row in db.execute(f"PRAGMA index_list({name})")),
            )
            for name in names
        }


async def test_a_folder_of_the_previous_release_becomes_as_one_of_this(old: Path, tmp_path: Path) -> None:
    new = await filled(tmp_path / "new.db")
    async with tables(old) as database, pinset(database) as opened:
        while opened.migration is not None:
            await opened.count(PinQuery(name="n1"))
        assert [one async for one in opened.pins()] == PINS
    assert form(old) == form(new)
    assert everything(old) == everything(new)


QUERIES = [
    EVERY_PIN,
    PinQuery(name="n1"),
    PinQuery(held_by="q"),
    PinQuery(held_by="nobody"),
    PinQuery(held_by="p", name="n2"),
    PinQuery(held_by="p", after=some_cid(9)),
    PinQuery(expires_before=30.0),
    PinQuery(metadata=(("app", "a1"),)),
]


def wanted(query: PinQuery, one: Pin) -> bool:
    expiry = one.options.expire_at
    return (
        query.name in (None, one.options.name)
        and (query.held_by is None or one.held_by(query.held_by))
        and (query.after is None or bytes(one.cid) > bytes(query.after))
        and (query.expires_before is None or (expiry is not None and expiry < query.expires_before))
        and all(one.options.metadata.get(key) == value for key, value in query.metadata)
    )


async def test_every_query_is_right_at_every_step_of_the_way(old: Path) -> None:
    async with tables(old) as database, pinset(database) as opened:
        steps = set()
        while (progress := opened.migration) is not None:
            steps.add(progress)
            for query in QUERIES:
                expected = [one for one in PINS if wanted(query, one)]
                assert [one async for one in opened.pins(query)] == expected, (progress, query)
                assert await opened.count(query) == len(expected), (progress, query)
        assert {2, 3} <= {one.version for one in steps} <= {2, 3, 4}  # the last may be done between two looks


async def test_documents_have_their_clocks_and_digests_at_the_end(old: Path) -> None:
    async with tables(old) as database, pinset(database) as opened:
        while opened.migration is not None:
            await opened.count(PinQuery(name="n1"))
        noted = await database.read(
            lambda db: db.execute("SELECT number, digest1, digest2, clocks FROM documents").fetchall()
        )
        assert noted
        for number, first, second, clocks in noted:
            (stored,) = await PinsetStore(database).documents([number])
            content = Document(1, [state for state in (stored.snapshot, *stored.updates) if state])
            assert (halves(content.digest()), content.clocks) == ((first, second), decode_clocks(clocks))


async def test_what_is_written_meanwhile_is_as_if_nothing_were_brought_forward(
    old: Path, tmp_path: Path
) -> None:
    """Replaced, removed and added, on both sides of the place that has been reached."""

    new, chance = await filled(tmp_path / "new.db"), Random(7)
    changes: list[Pin | CID] = []
    async with tables(old) as database, pinset(database) as opened:
        while opened.migration is not None:
            number = chance.randrange(80)
            removes = chance.random() < 0.4 and await opened.get(some_cid(number)) is not None
            again = pin(number + 3 * chance.randrange(9), f"again {number}")._replace(cid=some_cid(number))
            changes.append(some_cid(number) if removes else again)
            await change(opened, changes[-1])
    assert len(changes) > 3
    async with tables(new) as database, pinset(database) as opened:
        for one in changes:
            await change(opened, one)
    assert everything(old) == everything(new)


async def change(opened: ReplicatedPinset, what: Pin | CID) -> None:
    await (opened.put(what) if isinstance(what, Pin) else opened.remove(what))


async def test_it_goes_on_after_a_crash_between_any_two_transactions(old: Path, tmp_path: Path) -> None:
    copies = [old]
    async with tables(old) as database:
        while (await database.read(migrations.read_place)).unfinished:
            await database.write(migrations.next_page, 9)
            copies.append(copy_of(old, tmp_path / f"crash {len(copies)}.db"))
    assert len(copies) > 10
    expected = everything(old)
    for path in copies[1:]:
        async with tables(path) as database:
            while (await database.read(migrations.read_place)).unfinished:
                await database.write(migrations.next_page, 9)
        assert everything(path) == expected
        assert form(path) == form(old)


async def gather(opened: ReplicatedPinset, query: PinQuery, seen: list[Pin]) -> None:
    async for one in opened.pins(query):
        seen.append(one)


def copy_of(path: Path, to: Path) -> Path:
    """The file and its log as a crash would leave them."""
    shutil.copy(path, to)
    shutil.copy(f"{path}-wal", f"{to}-wal")
    return to


async def test_a_damaged_row_keeps_no_other_from_being_brought_forward(old: Path) -> None:
    with closing(sqlite3.connect(old)) as db:
        db.execute("UPDATE pins SET value = x'ff00' WHERE cid = ?", (bytes(PINS[7].cid),))
        db.commit()
    async with tables(old) as database, pinset(database) as opened:
        while opened.migration is not None:
            await opened.count(PinQuery(name="n1"))
        rows = [one for one in PINS if one is not PINS[7]]
        seen: list[Pin] = []
        with pytest.raises(BadUpdate, match="cannot be read"):
            await gather(opened, PinQuery(held_by="q"), seen)
        assert seen == [one for one in rows if one.held_by("q")]


@pytest.mark.slow
async def test_a_million_pins_are_brought_forward_while_they_are_read(tmp_path: Path) -> None:
    """Prints what it took; writes wait for a page at most."""
    path, count = tmp_path / "cluster.db", 1_000_000
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(SCHEMA_1)
        for number in range(count):
            one = pin(number)._replace(options=PinOptions(name=f"pin {number}", replication_max=EVERYWHERE))
            write_old_pin(db, bytes(one.cid), encode_pin(one).stamped(1 + number))
        db.commit()
    size = path.stat().st_size
    started, worked = time.monotonic(), time.process_time()
    waits = [0.0]
    async with tables(path) as database:
        opened_after = time.monotonic() - started
        store = PinsetStore(database)
        while (await database.read(migrations.read_place)).unfinished:
            before = time.monotonic()
            await database.write(migrations.next_page, migrations.PAGE)
            waits.append(time.monotonic() - before)
        assert await store.count(EVERY_PIN) == count
    print(
        f"opened after {opened_after:.2f} s; {time.monotonic() - started:.0f} s,"
        f" {time.process_time() - worked:.0f} s of a processor; longest page {max(waits):.2f} s;"
        f" {size / count:.0f} -> {path.stat().st_size / count:.0f} bytes a pin"
    )


async def test_tables_of_a_later_release_are_refused_in_one_line(tmp_path: Path) -> None:
    path = await filled(tmp_path / "cluster.db")
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(
        LaterRelease, match=r"cluster\.db was written by a later release .*version 99"
    ) as refused:
        async with tables(path):
            pass
    assert "\n" not in str(refused.value)
    assert path.read_bytes() == before


async def test_a_new_folder_has_the_newest_version_and_nothing_to_do(tmp_path: Path) -> None:
    async with tables(tmp_path / "cluster.db") as database, pinset(database) as opened:
        assert opened.migration is None
        assert await database.read(lambda db: db.execute("PRAGMA user_version").fetchone()) == (
            migrations.VERSION,
        )
