"""A file of blocks and its spare, read as one: what is given is sound, what is damaged is missing."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from blockstore.cid import CID, RAW
from blockstore.errors import StorageFull, StoreCorrupt, StoreUnavailable
from blockstore.sqlite import row_checks as checks
from blockstore.sqlite import statements
from blockstore.sqlite.block_rows import INLINE, BlockRows
from blockstore.sqlite.database import SqliteDatabase, Work
from blockstore.sqlite.row_checks import Checked, Found, RowReading
from blockstore.sqlite.spare import Spare
from blockstore.sqlite.statements import Row

Look = Work[[BlockRows, Sequence[bytes]], Found]
"""Looks on one connection, and may note that it did."""

_TELL_EVERY = 60.0  # seconds: any client that asks for names in a damaged part of the index causes this line

_KNOWN = "it was found damaged before"

_log = logging.getLogger(__name__)


class SoundRows:
    """Looks in the spare first, which is no trip at all while there is none."""

    def __init__(self, database: SqliteDatabase, spare: Spare, source: BlockRows) -> None:
        self._database = database
        self._spare = spare
        self._source = source
        self.checked = Checked(source)
        self.losses = 0
        """How often damage was found."""
        self._quiet_until = 0.0

    async def bodies(self, names: Sequence[bytes]) -> dict[bytes, bytes]:
        """Of those that are here and sound. Others are noted."""
        return (await self._read(names, self._spare.checked, self.checked)).bodies

    async def anew(self, names: Sequence[bytes]) -> RowReading:
        """The same with what became of each: all are read from the disk itself and hashed."""
        found = await self._read(names, Checked(uncached=True), Checked(self._source, uncached=True))
        known = await self._spare.hidden(names)
        damaged = dict.fromkeys(known - found.bodies.keys() - found.damaged.keys(), _KNOWN)
        return found.joined(RowReading(damaged=damaged))

    async def _read(self, names: Sequence[bytes], spare: Checked, main: Checked) -> RowReading:
        reading = RowReading()
        hidden: set[bytes] = set()
        if self._spare.file is not None:
            reading = await self._spare.file.read(spare.read, names)
            await self._note(reading, self._spare.drop)
            hidden = await self._spare.hidden(names)
        rest = [name for name in names if name not in reading.bodies and name not in hidden]
        if rest:
            found = await self._database.read(main.read, rest)
            await self._note(found, self._spare.note)
            reading = reading.joined(found)
        return reading

    async def look(self, names: Sequence[bytes], work: Look, *, on_writer: bool) -> dict[bytes, Row]:
        """Rows of what counts as here. `work` looks, on one connection after the other."""
        found: dict[bytes, Row] = {}
        hidden: set[bytes] = set()
        if self._spare.file is not None:
            found = await self._run(self._spare.file, on_writer, work, names)
            hidden = await self._spare.hidden(names)
        rest = [name for name in names if name not in found and name not in hidden]
        return found | await self._run(self._database, on_writer, work, rest) if rest else found

    async def all_rows(self, names: Sequence[bytes]) -> dict[bytes, list[Row]]:
        """Every row, sound or not. Raises StoreCorrupt where it cannot be known whether there is one."""
        found: dict[bytes, list[Row]] = {}
        for file in self.files():
            rows, refused = await file.read(checks.rows, self.source_of(file).all_rows, names)
            for name, row in rows.items():
                found.setdefault(name, []).append(row)
            for name, reason in refused.items():
                raise StoreCorrupt(f"{file.path} is damaged where {CID.v1(RAW, name)} may lie ({reason})")
        return found

    async def numbers(self, names: Sequence[bytes]) -> list[int]:
        """The rows of those that are here, sound or not, as the index has them: nothing else is read."""
        return [row for file in self.files() for row in await file.read(statements.numbers, names)]

    async def apart(self, names: Sequence[bytes]) -> set[bytes]:
        """Those that are no business of the first file: damaged there, or kept in the spare."""
        if self._spare.file is None:
            return set()
        kept, _ = await self._spare.file.read(checks.rows, INLINE.rows, names)
        return set(kept) | await self._spare.hidden(names)

    def files(self) -> list[SqliteDatabase]:
        return [self._database, self._spare.file] if self._spare.file else [self._database]

    def source_of(self, file: SqliteDatabase) -> BlockRows:
        """Blocks of the spare lie in their rows."""
        return self._source if file is self._database else INLINE

    def tell_refusals(self, refused: Mapping[bytes, str]) -> None:
        """That a part of a file cannot be searched; once a minute, for strangers choose the names."""
        if refused and time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _TELL_EVERY
            self._spare.found.set()
            for name, reason in [*refused.items()][:1]:
                _log.error(
                    "%s is damaged where block %s may lie (%s): it counts as missing until it comes again",
                    self._database.path,
                    CID.v1(RAW, name),
                    reason,
                )

    async def _note(
        self, reading: RowReading, note: Callable[[Mapping[bytes, str]], Awaitable[None]]
    ) -> None:
        self.tell_refusals(reading.refused)
        if not reading.damaged:
            return
        self.losses += 1
        try:
            await note(reading.damaged)
        except (StorageFull, StoreCorrupt, StoreUnavailable) as error:
            # It is found again at the next read.
            _log.error("%d damaged blocks could not be noted: %s", len(reading.damaged), error)

    async def _run(
        self, file: SqliteDatabase, on_writer: bool, work: Look, names: Sequence[bytes]
    ) -> dict[bytes, Row]:
        found, refused = await (file.write if on_writer else file.read)(work, self.source_of(file), names)
        self.tell_refusals(refused)
        return found
