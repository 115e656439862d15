"""Rows of blocks read with care: what SQLite refuses, or is not what its name says, costs that block only.

Everything here runs on the threads of a database.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from blockstore import hashing
from blockstore.errors import BadCid, UnknownHash
from blockstore.number_bitmap import NumberBitmap
from blockstore.sqlite import statements
from blockstore.sqlite.block_rows import INLINE, BlockRows
from blockstore.sqlite.statements import Row

Found = tuple[dict[bytes, Row], dict[bytes, str]]
"""Rows by name; and names that SQLite refuses to look for, with the reason."""

Look = Callable[[sqlite3.Connection, Sequence[bytes]], dict[bytes, Row]]
"""`rows` or `all_rows` of BlockRows."""

TRUSTED_FOR = 24 * 3600.0
"""Seconds for which a block that was hashed is not hashed again: what rots later is seen a day later."""

# Errors that say nothing of the bytes on the disk: they pass, or are the caller's.
_PASSING = (
    "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN", "SQLITE_NOMEM", "SQLITE_INTERRUPT", "SQLITE_PROTOCOL",
    "SQLITE_FULL", "SQLITE_MISUSE", "SQLITE_IOERR_NOMEM", "SQLITE_IOERR_LOCK", "SQLITE_IOERR_SHM",
    "SQLITE_IOERR_WRITE",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RowReading:
    """What came of names that were looked up: `bodies` are sound, what stands nowhere is not here.

    `damaged` are here and cannot be given, `refused` could not even be looked for; both say why.
    """

    bodies: dict[bytes, bytes] = field(default_factory=dict)
    rows: dict[bytes, int] = field(default_factory=dict)
    damaged: dict[bytes, str] = field(default_factory=dict)
    refused: dict[bytes, str] = field(default_factory=dict)

    def joined(self, other: RowReading) -> RowReading:
        """What came of these names in two files together."""
        return RowReading(
            self.bodies | other.bodies,
            self.rows | other.rows,
            self.damaged | other.damaged,
            self.refused | other.refused,
        )


class Checked:
    """Reads rows and hashes those that were not hashed within a day. Memory: a bit a row.

    With `uncached` all bytes come from the disk itself.
    """

    def __init__(self, source: BlockRows = INLINE, *, uncached: bool = False) -> None:
        self.source = source
        self._uncached = uncached
        self._sound = NumberBitmap()
        self._since = time.monotonic()

    def __contains__(self, row: int) -> bool:
        """Whether that row was found sound not long ago."""
        return row in self._current()

    def read(self, connection: sqlite3.Connection, names: Sequence[bytes]) -> RowReading:
        reading = RowReading()
        try:
            if self._uncached:  # here, because each connection has a cache of its own
                self.source.uncache(connection, statements.numbers(connection, names))
            found = self.source.bodies(connection, names)
        except (sqlite3.Error, MemoryError, OSError) as error:
            _raise_passing(error)
            found = _one_by_one(connection, self.source, names, reading)
        sound = self._current()
        for name in names:
            if name not in found or name in reading.bodies:
                continue
            row, body = found[name]
            if row in sound or is_sound(name, body):
                # Two threads may do this at once; what one of them loses is hashed another time.
                sound.add(row)
                reading.bodies[name], reading.rows[name] = body, row
            else:
                reading.damaged[name] = "its bytes do not hash to its name"
        if reading.damaged or reading.refused:
            self._sound = NumberBitmap()  # where one page is bad, others may be: look at everything once more
        return reading

    def _current(self) -> NumberBitmap:
        if time.monotonic() - self._since > TRUSTED_FOR:
            self._sound, self._since = NumberBitmap(), time.monotonic()
        return self._sound


def rows(connection: sqlite3.Connection, look: Look, names: Sequence[bytes]) -> Found:
    """Rows of those that are here; and those that SQLite refuses to look for, with the reason."""
    try:
        return look(connection, names), {}
    except sqlite3.Error as error:
        _raise_passing(error)
    found: dict[bytes, Row] = {}
    refused: dict[bytes, str] = {}
    for name in dict.fromkeys(names):
        try:
            found.update(look(connection, [name]))
        except sqlite3.Error as error:
            _raise_passing(error)
            refused[name] = str(error)
    return found, refused


def is_sound(multihash: bytes, body: object) -> bool:
    """Whether those are the bytes of that name; False where that cannot be known."""
    try:
        return isinstance(body, bytes) and hashing.matches(multihash, body)
    except (UnknownHash, BadCid):
        return False  # it could not have been verified when it came, or the name itself is damaged


def _one_by_one(
    connection: sqlite3.Connection, source: BlockRows, names: Sequence[bytes], reading: RowReading
) -> dict[bytes, tuple[int, bytes]]:
    found: dict[bytes, tuple[int, bytes]] = {}
    for name in dict.fromkeys(names):
        try:
            found.update(source.bodies(connection, [name]))
        except OSError as error:  # a disk that does not answer says nothing of the bytes
            reading.refused[name] = str(error)
        except (sqlite3.Error, MemoryError) as error:
            _raise_passing(error)
            known = not _is_unanswered(error) and _is_known(connection, name)
            (reading.damaged if known else reading.refused)[name] = str(error) or type(error).__name__
    return found


def _is_known(connection: sqlite3.Connection, name: bytes) -> bool:
    """Whether the index alone knows the name."""
    try:
        return statements.is_known(connection, name)
    except sqlite3.Error as error:
        _raise_passing(error)
        return False


def _is_unanswered(error: sqlite3.Error | MemoryError) -> bool:
    """Whether the disk did not answer (EIO), which says nothing of the bytes."""
    return getattr(error, "sqlite_errorname", "") == "SQLITE_IOERR_READ"


def _raise_passing(error: sqlite3.Error | MemoryError | OSError) -> None:
    """Raise it again unless it may come from damage. A damaged length asks for more memory than there is."""
    if getattr(error, "sqlite_errorname", "").startswith(_PASSING):
        raise error
