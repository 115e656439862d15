"""The pinset as it was at one moment: what an export holds, whatever changes while it is made."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass

from cluster.errors import BadUpdate
from cluster.pinset.tables import sql_state
from cluster.pinset.tables.packed_pins import PackedPins
from cluster.pinset.tables.schema import REMEDY
from cluster.ports import DatabaseView


@dataclass(frozen=True, slots=True)
class PinsetState:
    """Pages of the rows that one commit left."""

    view: DatabaseView[sqlite3.Connection]

    async def count(self) -> int:
        return await self.view.read(sql_state.count_rows)

    async def pages(self, size: int = 1000) -> AsyncIterator[PackedPins]:
        """Every pin, in order of the CID's bytes. Raises BadUpdate where the table is damaged."""
        after = b""
        while page := await self.view.read(sql_state.read_rows, after, size):
            if page.last <= after:  # going on behind the last one would never end
                raise BadUpdate(f"the list of pins is damaged, and not in order: {REMEDY} (cluster.db)")
            after = page.last
            yield page
