"""Member records, and which invitations were used here, in SQLite, beside the pinset."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from cluster.ports import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS member_records (
    kind TEXT NOT NULL, peer TEXT NOT NULL, envelope BLOB NOT NULL, PRIMARY KEY (kind, peer)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS used_invites (id BLOB PRIMARY KEY, peer TEXT NOT NULL) WITHOUT ROWID;
"""

_PUT = "REPLACE INTO member_records VALUES (?, ?, ?)"
_USE = "INSERT OR IGNORE INTO used_invites VALUES (?, ?)"


class MemberRecordStore:
    """Envelopes by kind and peer. Every method is one trip to the database."""

    def __init__(self, database: Database[sqlite3.Connection]) -> None:
        self._database = database

    async def all(self) -> list[tuple[str, str, bytes]]:
        """(kind, peer, envelope) of each."""
        return await self._database.read(_all)

    async def put(
        self, records: Iterable[tuple[str, str, bytes]], invites: Iterable[tuple[bytes, str]] = ()
    ) -> None:
        """(kind, peer, envelope): each replaces the one of its kind and peer. `invites`: (id, user)."""

        def put(db: sqlite3.Connection) -> None:
            db.executemany(_PUT, records)
            db.executemany(_USE, invites)

        await self._database.write(put)

    async def remove(self, kind: str, peer: str) -> None:
        """A missing one is fine."""
        await self._database.write(_remove, kind, peer)

    async def used_invites(self) -> dict[bytes, str]:
        """Who used which, of those that were used here."""
        return await self._database.read(_used_invites)


def _all(db: sqlite3.Connection) -> list[tuple[str, str, bytes]]:
    rows = db.execute("SELECT kind, peer, envelope FROM member_records")
    return [(str(kind), str(peer), bytes(envelope)) for kind, peer, envelope in rows]


def _remove(db: sqlite3.Connection, kind: str, peer: str) -> None:
    db.execute("DELETE FROM member_records WHERE kind = ? AND peer = ?", (kind, peer))


def _used_invites(db: sqlite3.Connection) -> dict[bytes, str]:
    return {bytes(one): str(peer) for one, peer in db.execute("SELECT id, peer FROM used_invites")}
