"""Brings the rows of an earlier release forward while the node runs, a page at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from blockstore.common.backoff import Backoff
from blockstore.common.guard import Guard
from cluster.pinset.tables import migrations
from cluster.pinset.tables.migrations import MigrationPlace
from cluster.pinset.tables.store import SqlDatabase

_PAUSES = Backoff(1.0, 60.0)  # seconds, after a disk that refused
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MigrationProgress:
    """`done` of about `rows` rows have the form of that version of the tables."""

    version: int
    done: int
    rows: int


class Migrator:
    """What is left to do in one database; made by open_migrator. Where it stops, the next start goes on."""

    def __init__(self, database: SqlDatabase, guard: Guard, page: int, rows: int, at: MigrationPlace) -> None:
        self._database = database
        self._guard = guard
        self._page = page
        self._rows = rows
        self._at = at

    def lacks(self, version: int) -> bool:
        """Whether some rows are not yet as that version of the tables has them."""
        return version in self._at.unfinished

    @property
    def progress(self) -> MigrationProgress | None:
        """None once nothing is left to do."""
        if not self._at.unfinished:
            return None
        return MigrationProgress(self._at.unfinished[0], min(self._at.done, self._rows), self._rows)

    async def run(self) -> None:
        """Until nothing is left. It takes half of the writer's time at most, less where others want it."""
        failures = 0
        while self._at.unfinished:
            started, failures = time.perf_counter(), failures + 1
            with self._guard.around("bringing the pinset forward", "this release"):
                failures = 0 if await self._next_page() else failures
            await asyncio.sleep(_PAUSES.after(failures) if failures else time.perf_counter() - started)
        if self._rows:
            _log.info("all pins have the form of this release now")

    async def _next_page(self) -> bool:
        """Whether the disk took it."""
        try:
            self._at = await self._database.write(migrations.next_page, self._page)
        except OSError as error:
            _log.warning("the pins cannot be brought forward to the form of this release now: %s", error)
            return False
        return True


async def open_migrator(database: SqlDatabase, guard: Guard, page: int) -> Migrator:
    """Of tables that migrations.prepare was given; `page` rows in each transaction."""
    at = await database.read(migrations.read_place)
    rows = await database.read(migrations.count_rows) if at.unfinished else 0
    if rows:
        _log.info("%d pins are brought forward to the form of this release; all works meanwhile", rows)
    return Migrator(database, guard, page, rows, at)
