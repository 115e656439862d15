"""Local pins: the roots this node promised to keep, and pinning as walk, fetch, record."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from blockstore.cid import CID
from blockstore.dag import walk
from blockstore.database import Database, open_database
from blockstore.errors import PinWithdrawn
from blockstore.service import Blocks

Progress = Callable[[int, int, int], None]
"""(blocks here, their bytes, blocks known and not here yet); called for each block, must not block."""

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # a root that was promised outlives a power failure
    "PRAGMA journal_size_limit=4194304",
    "PRAGMA busy_timeout=5000",
)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS roots(
    cid BLOB PRIMARY KEY, recursive INTEGER NOT NULL, complete INTEGER NOT NULL, blocks INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) WITHOUT ROWID;
"""
_SELECT = "SELECT cid, recursive, complete, blocks, bytes FROM roots"
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class PinnedRoot:
    """A root, alone or with all below it. Blocks and bytes count once it is complete: all of it is here."""

    cid: CID
    complete: bool
    recursive: bool
    blocks: int
    bytes: int


@asynccontextmanager
async def open_local_pins(path: Path, blocks: Blocks) -> AsyncIterator[LocalPinner]:
    """Open or create the roots in that file, over those blocks. Raises StoreCorrupt, StoreUnavailable."""
    async with open_database(path, pragmas=_PRAGMAS, schema=_SCHEMA, readers=1) as database:
        yield LocalPinner(database, blocks)


class LocalPinner:
    """Keeps roots. A complete one survives a power failure, and its blocks with it."""

    def __init__(self, database: Database, blocks: Blocks) -> None:
        self._database = database
        self._blocks = blocks
        self._walks: dict[CID, set[object]] = {}  # one token a walk; `unpin` drops them

    def __repr__(self) -> str:
        return f"<LocalPinner {self._database.path}>"

    async def pin(self, cid: CID, *, recursive: bool, hints: Sequence[str], progress: Progress) -> PinnedRoot:
        """Record the root as incomplete, walk it and fetch what is missing, record it as complete.

        A complete root returns at once. After a failure or a cancellation the root stays, incomplete, with
        the blocks that came; calling again goes on from there. `hints` are peer ids to ask first.
        Raises BlockNotFound with the exchange's reason, StorageFull, BadBlock, UnknownCodec, DagTooLarge;
        PinWithdrawn when `unpin` came in between.
        """
        with self._walking(cid) as walking:
            known = await self._database.write(_begin, cid, recursive)
            if known.complete:
                return known
            return await self._walk(known, hints, progress, walking)

    async def unpin(self, cid: CID) -> None:
        """Forget the root; a missing one is fine. Blocks stay until garbage is collected."""
        self._walks.pop(cid, None)
        await self._database.write(_forget, cid)

    async def get(self, cid: CID) -> PinnedRoot | None:
        return await self._database.read(_find, cid)

    async def pinned(self, after: CID | None = None) -> AsyncIterator[PinnedRoot]:
        """Every root in key order (bytes of the CID) behind `after`, read in pages."""
        last = b"" if after is None else bytes(after)
        while page := await self._database.read(_behind, last):
            for root in page:
                yield root
            last = bytes(page[-1].cid)

    async def _walk(
        self, root: PinnedRoot, hints: Sequence[str], progress: Progress, walking: Callable[[], bool]
    ) -> PinnedRoot:
        count = size = 0
        session = self._blocks.session(root.cid, hints)
        async with aclosing(walk(session, root.cid, depth=None if root.recursive else 0)) as visits:
            async for visit in visits:
                count, size = count + 1, size + visit.size
                progress(count, size, visit.pending)
                if not walking():
                    raise PinWithdrawn(root.cid)
        await self._blocks.store.flush()
        if not walking():
            raise PinWithdrawn(root.cid)
        return await self._database.write(_record, replace(root, complete=True, blocks=count, bytes=size))

    @contextmanager
    def _walking(self, cid: CID) -> Generator[Callable[[], bool]]:
        """Whether the walk still counts: not once the root was unpinned, though it be pinned again since."""
        token = object()
        self._walks.setdefault(cid, set()).add(token)
        try:
            yield lambda: token in self._walks.get(cid, ())
        finally:
            tokens = self._walks.get(cid, set())
            tokens.discard(token)
            if not tokens:
                self._walks.pop(cid, None)


def _begin(connection: sqlite3.Connection, cid: CID, recursive: bool) -> PinnedRoot:
    """The root as it is from here on: a recursive one stays recursive, a direct one may become it."""
    known = _find(connection, cid)
    if known is not None and (known.recursive or not recursive):
        return known
    return _put(connection, PinnedRoot(cid, False, recursive, 0, 0))


def _record(connection: sqlite3.Connection, root: PinnedRoot) -> PinnedRoot:
    """Keep a finished root, unless a recursive pin has begun while a direct one ended."""
    known = _find(connection, root.cid)
    if known is not None and known.recursive and not root.recursive:
        return known
    return _put(connection, root)


def _put(connection: sqlite3.Connection, root: PinnedRoot) -> PinnedRoot:
    row = (bytes(root.cid), root.recursive, root.complete, root.blocks, root.bytes)
    connection.execute("INSERT OR REPLACE INTO roots VALUES(?, ?, ?, ?, ?)", row)
    return root


def _forget(connection: sqlite3.Connection, cid: CID) -> None:
    connection.execute("DELETE FROM roots WHERE cid = ?", (bytes(cid),))


def _find(connection: sqlite3.Connection, cid: CID) -> PinnedRoot | None:
    row = connection.execute(f"{_SELECT} WHERE cid = ?", (bytes(cid),)).fetchone()
    return None if row is None else _root(row)


def _behind(connection: sqlite3.Connection, last: bytes) -> list[PinnedRoot]:
    rows = connection.execute(f"{_SELECT} WHERE cid > ? ORDER BY cid LIMIT ?", (last, _PAGE))
    return [_root(row) for row in rows]


def _root(row: tuple[bytes, int, int, int, int]) -> PinnedRoot:
    cid, recursive, complete, blocks, size = row
    return PinnedRoot(CID.decode(cid), bool(complete), bool(recursive), blocks, size)
