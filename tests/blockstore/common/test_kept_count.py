"""A count is read once, and is right whatever changes meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from blockstore.common.kept_count import KeptCount


class Rows:
    """So many rows; reading them waits until it may."""

    def __init__(self) -> None:
        self.rows, self.reads = 5, 0
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.kept = KeptCount(self.count)

    async def count(self) -> int:
        self.reads += 1
        found = self.rows
        await self.may_read.wait()
        return found

    def fail(self) -> None:
        with self.kept.changing():
            self.rows += 1  # it may have, or not
            raise OSError("full")

    def change(self, by: int) -> None:
        with self.kept.changing() as change:
            self.rows += by
            change.by = by


async def test_it_is_read_once() -> None:
    rows = Rows()
    assert await rows.kept.total() == 5
    rows.change(3)
    rows.change(-1)
    assert await rows.kept.total() == rows.rows == 7
    assert rows.reads == 1


async def test_a_change_during_the_read_is_not_lost() -> None:
    rows = Rows()
    rows.may_read.clear()
    reading = asyncio.create_task(rows.kept.total())
    await asyncio.sleep(0)
    rows.change(2)
    rows.may_read.set()
    assert await reading == 5
    assert await rows.kept.total() == 7
    assert rows.reads == 2


async def test_a_read_during_a_change_is_not_kept() -> None:
    rows = Rows()
    with rows.kept.changing() as change:
        assert await rows.kept.total() == 5
        rows.rows += 1
        change.by = 1
    assert await rows.kept.total() == 6


async def test_after_a_change_that_failed_it_is_read_again() -> None:
    rows = Rows()
    assert await rows.kept.total() == 5
    with pytest.raises(OSError, match="full"):
        rows.fail()
    assert await rows.kept.total() == 6
    assert rows.reads == 2
