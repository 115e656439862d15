"""Failed attempts in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from blockstore.cid import CID
from cluster.pin import KeyRange
from cluster.ports import (
    Attempt,
    OperationKind,
)


class MemoryAttempts:
    """AttemptStore in a dict; `full` makes it fail as a full disk does."""

    def __init__(self) -> None:
        self.rows: dict[CID, Attempt] = {}
        self.full = False

    async def get_many(self, cids: Sequence[CID]) -> list[Attempt | None]:
        return [self.rows.get(cid) for cid in cids]

    async def put(self, attempt: Attempt) -> None:
        if self.full:
            raise OSError("disk full")
        self.rows[attempt.cid] = attempt

    async def remove(self, cid: CID) -> None:
        self.rows.pop(cid, None)

    async def remove_many(self, cids: Sequence[CID]) -> None:
        for cid in cids:
            await self.remove(cid)

    async def claim(self, now: float, horizon: float, until: float, limit: int) -> list[Attempt]:
        times = [(row.retry_at, row) for row in self.rows.values() if row.retry_at is not None]
        due = [(at, row) for at, row in times if at <= now or at > horizon]
        claimed = [row for _, row in sorted(due, key=lambda pair: pair[0])[:limit]]
        self.rows.update({row.cid: replace(row, retry_at=until) for row in claimed})
        return claimed

    async def next_retry(self) -> float | None:
        return min((row.retry_at for row in self.rows.values() if row.retry_at is not None), default=None)

    async def count(self, kind: OperationKind) -> int:
        return sum(row.kind is kind for row in self.rows.values())

    async def page(self, after: CID | None, limit: int) -> list[Attempt]:
        start = bytes(after) if after else b""
        rows = [row for row in self.rows.values() if bytes(row.cid) > start]
        return sorted(rows, key=lambda row: bytes(row.cid))[:limit]

    async def within(self, keys: KeyRange, limit: int) -> list[Attempt]:
        rows = [row for row in self.rows.values() if keys.after < bytes(row.cid) <= keys.until]
        return sorted(rows, key=lambda row: bytes(row.cid))[:limit]
