"""Forked logs in SQL, each with the two batches that prove it, and how far it is contained here."""

from __future__ import annotations

import json
import sqlite3

from blockstore.common import varint
from cluster.pinset.log.batch import AuthorLog
from cluster.pinset.log.fork import MAX_FORKS, Fork, Forks, place_fact
from cluster.ports import Database


class ForkStore:
    """Typed operations over the pinset's database: each is one trip to it."""

    def __init__(self, database: Database[sqlite3.Connection]) -> None:
        self._database = database

    async def forks(self) -> Forks:
        return await self._database.read(_forks)

    async def evidence(self, log: AuthorLog) -> Fork | None:
        """None of a log that is not known to be forked."""
        return await self._database.read(_evidence, log)

    async def keep(self, fork: Fork) -> bool:
        """Whether it was new: of a log's forks the first is kept. Above MAX_FORKS none is."""
        return await self._database.write(_keep, fork)

    async def documents_of(self, client: int, first: int, limit: int) -> list[int]:
        """Documents from that number on that name the client, in order; others may be among them."""
        return await self._database.read(_documents_of, varint.encode(client), first, limit)


def _forks(db: sqlite3.Connection) -> Forks:
    rows = db.execute("SELECT author, epoch, sequence FROM forks").fetchall()
    return {AuthorLog(author, epoch): sequence for author, epoch, sequence in rows}


def _evidence(db: sqlite3.Connection, log: AuthorLog) -> Fork | None:
    row = db.execute(
        "SELECT sequence, one, other FROM forks WHERE author = ? AND epoch = ?", (log.author, log.epoch)
    ).fetchone()
    return Fork(log, row[0], bytes(row[1]), bytes(row[2])) if row else None


def _keep(db: sqlite3.Connection, fork: Fork) -> bool:
    known = _evidence(db, fork.log)
    (count,) = db.execute("SELECT count(*) FROM forks").fetchone()
    if fork.sequence >= known.sequence if known else count >= MAX_FORKS:
        return False
    db.execute(
        "REPLACE INTO forks VALUES (?, ?, ?, ?, ?)",
        (fork.log.author, fork.log.epoch, fork.sequence, fork.one, fork.other),
    )
    db.execute("DELETE FROM cluster_facts WHERE key = ?", (place_fact(fork.log),))  # of a later number
    return True


def _documents_of(db: sqlite3.Connection, client: bytes, first: int, limit: int) -> list[int]:
    (text,) = db.execute(
        "SELECT json_group_array(number) FROM (SELECT number FROM documents WHERE number >= ?1"
        " AND (instr(snapshot, ?2) OR EXISTS ("
        "  SELECT 1 FROM updates WHERE document = number AND instr(data, ?2)))"
        " ORDER BY number LIMIT ?3)",
        (first, client, limit),
    ).fetchone()
    return [int(number) for number in json.loads(text)]
