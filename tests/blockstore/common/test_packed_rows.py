"""Rows that go through SQLite as one: what comes back is what went in, in its order, by way of the index."""

import json
import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockstore.common.packed_rows import Cell, RowLayout, one_row, unpack_blobs

LAYOUT = RowLayout(cid=bytes, name=str, size=int, expires=float)
INTEGERS = st.none() | st.integers(-(2**63), 2**63 - 1)
TIMES = st.none() | st.floats(-1e12, 1e12)
ROWS = st.lists(
    st.tuples(st.none() | st.binary(), st.none() | st.text(st.characters(codec="utf-8")), INTEGERS, TIMES)
)


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE pins (cid BLOB PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID")
    yield connection
    connection.close()


@given(ROWS)
def test_a_statement_sees_each_cell_as_it_was_packed(rows: list[tuple[Cell, ...]]) -> None:
    connection = sqlite3.connect(":memory:")
    select = f"SELECT cid, name, size, expires FROM {LAYOUT.rows} ORDER BY place"
    assert connection.execute(select, LAYOUT.pack(rows)).fetchall() == rows
    connection.close()


@given(st.lists(st.none() | st.binary()))
def test_blobs_come_back_as_one_row(blobs: list[bytes | None]) -> None:
    connection = sqlite3.connect(":memory:")
    layout = RowLayout(data=bytes)
    select = f"SELECT json_group_array(CASE WHEN data NOT NULL THEN hex(data) END) FROM {layout.rows}"
    (text,) = connection.execute(select, layout.pack([(blob,) for blob in blobs])).fetchone()
    assert unpack_blobs(text) == blobs
    connection.close()


def test_rows_are_inserted_found_and_deleted_in_one_step_each(db: sqlite3.Connection) -> None:
    pins = RowLayout(cid=bytes, name=str)
    rows = [(bytes([number]) * 36, f"pin {number}") for number in range(200)]
    db.execute(f"INSERT INTO pins SELECT cid, name FROM {pins.rows}", pins.pack(rows))

    wanted = RowLayout(cid=bytes)
    keys = wanted.pack([(rows[7][0],), (b"nowhere",), (rows[3][0],)])
    look_up = (
        f"SELECT {one_row('name')} FROM"
        f" (SELECT name FROM {wanted.rows} AS wanted LEFT JOIN pins USING (cid) ORDER BY place)"
    )
    assert json.loads(db.execute(look_up, keys).fetchone()[0]) == [["pin 7"], [None], ["pin 3"]]

    db.execute(f"DELETE FROM pins WHERE cid IN (SELECT cid FROM {wanted.rows})", keys)
    assert db.execute("SELECT count(*) FROM pins").fetchone() == (198,)


def test_a_deletion_by_two_columns_uses_the_index(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE held (peer TEXT, cid BLOB, PRIMARY KEY (peer, cid)) WITHOUT ROWID")
    layout = RowLayout(peer=str, cid=bytes)
    delete = f"DELETE FROM held WHERE (peer, cid) IN (SELECT peer, cid FROM {layout.rows})"
    plan = db.execute(f"EXPLAIN QUERY PLAN {delete}", layout.pack([("a", b"1")])).fetchall()
    assert "SEARCH held USING PRIMARY KEY (peer=? AND cid=?)" in str(plan)


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError):
        RowLayout(at=float).pack([(float("nan"),)])
    with pytest.raises(ValueError):
        RowLayout(one=int, two=int).pack([(1,)])
