"""Pages of the log: in order of arrival, about as large as asked for, and nothing between left out."""

from __future__ import annotations

import sqlite3
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from support.inline_database import TABLES

from cluster.pinset.log.batch import AuthorLog
from cluster.pinset.tables import sql_batches

Row = tuple[AuthorLog, int, bytes]


def database(rows: list[Row]) -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.executescript(TABLES)
    for arrival, (log, sequence, envelope) in enumerate(rows, 1):
        db.execute(
            "INSERT INTO logs (author, epoch, sequence, arrival) VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT (author, epoch) DO UPDATE SET sequence = ?3, arrival = ?4",
            (log.author, log.epoch, sequence, arrival),
        )
        (number,) = db.execute(
            "SELECT id FROM logs WHERE author = ? AND epoch = ?", (log.author, log.epoch)
        ).fetchone()
        db.execute("INSERT INTO batches VALUES (?, ?, ?, ?)", (arrival, number, sequence, envelope))
    return db


def grown(seed: int, count: int, logs: int) -> list[Row]:
    """Batches of several logs as they came."""
    chance, heads, rows = Random(seed), dict.fromkeys(range(logs), 0), []
    for _ in range(count):
        epoch = chance.randrange(logs)
        heads[epoch] += 1
        rows.append(
            (
                AuthorLog(f"author {epoch % 2}", epoch),
                heads[epoch],
                chance.randbytes(chance.randrange(1, 300)),
            )
        )
    return rows


def wanted(rows: list[Row], wants: dict[AuthorLog, int]) -> list[bytes]:
    return [envelope for log, sequence, envelope in rows if sequence > wants.get(log, sequence)]


@given(
    seed=st.integers(0, 2**32), count=st.integers(0, 60), logs=st.integers(1, 5), most=st.integers(1, 4000)
)
def test_a_page_is_what_comes_next_in_order_of_arrival(seed: int, count: int, logs: int, most: int) -> None:
    rows, chance = grown(seed, count, logs), Random(seed)
    wants = {log: chance.randrange(count + 1) for log in {log for log, _, _ in rows} if chance.random() < 0.8}
    page = sql_batches.read_batches(database(rows), list(wants.items()), most)
    expected = wanted(rows, wants)
    assert page == expected[: len(page)]
    assert len(page) == len(expected) or sum(map(len, expected[: len(page) + 1])) > most
    assert len(page) == 1 or sum(map(len, page)) <= most
    assert bool(page) == bool(expected)


def test_logs_with_more_batches_than_a_page_has_end_it_before_what_may_build_on_them() -> None:
    rows = grown(1, sql_batches.MAX_BATCHES + 500, 3)
    wants = dict.fromkeys({log for log, _, _ in rows}, 0)
    db = database(rows)
    got: list[bytes] = []
    while page := sql_batches.read_batches(db, list(wants.items()), 1 << 30):
        assert len(page) <= sql_batches.MAX_BATCHES
        for envelope in page:
            log, sequence, _ = rows[len(got)]
            assert envelope == rows[len(got)][2]
            got.append(envelope)
            wants[log] = sequence
    assert len(got) == len(rows)
