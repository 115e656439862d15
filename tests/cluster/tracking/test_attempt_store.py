"""Failed attempts on disk and in memory keep the same promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.memory_attempts import MemoryAttempts
from support.memory_cluster import cid

from blockstore.sqlite.database import open_database
from cluster.ports import Attempt, AttemptStore, OperationKind
from cluster.tracking.attempt_store import SCHEMA, SqliteAttempts


@pytest.fixture(params=["memory", "sqlite"])
async def attempts(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AttemptStore]:
    if request.param == "memory":
        yield MemoryAttempts()
    else:
        async with open_database(tmp_path / "node.db", pragmas=[], schema=SCHEMA) as database:
            yield SqliteAttempts(database)


def attempt(number: int, retry_at: float, kind: OperationKind = OperationKind.PIN) -> Attempt:
    return Attempt(cid(number), kind, 1, "no providers found", 5.0, retry_at)


async def test_the_last_one_of_a_cid_counts(attempts: AttemptStore) -> None:
    await attempts.put(attempt(1, 10.0))
    await attempts.put(attempt(1, 20.0, OperationKind.UNPIN))
    assert await attempts.get_many([cid(2), cid(1)]) == [None, attempt(1, 20.0, OperationKind.UNPIN)]


async def test_a_removed_one_is_gone_and_a_missing_one_is_fine(attempts: AttemptStore) -> None:
    await attempts.put(attempt(1, 10.0))
    await attempts.remove(cid(1))
    await attempts.remove(cid(1))
    assert await attempts.get_many([cid(1)]) == [None]
    assert await attempts.next_retry() is None


async def test_what_is_due_is_handed_out_once_soonest_first(attempts: AttemptStore) -> None:
    for number, at in [(1, 30.0), (2, 10.0), (3, 20.0), (4, 99.0)]:
        await attempts.put(attempt(number, at))
    first = await attempts.claim(40.0, 1000.0, until=640.0, limit=2)
    assert [one.cid for one in first] == [cid(2), cid(3)]
    assert [one.cid for one in await attempts.claim(40.0, 1000.0, until=640.0, limit=9)] == [cid(1)]
    assert await attempts.claim(40.0, 1000.0, until=640.0, limit=9) == []
    assert await attempts.next_retry() == 99.0


async def test_a_clock_that_was_set_back_does_not_postpone_for_days(attempts: AttemptStore) -> None:
    await attempts.put(attempt(1, 86_400.0))
    assert [one.cid for one in await attempts.claim(40.0, 1000.0, until=640.0, limit=9)] == [cid(1)]


async def test_pages_are_in_order_of_the_cid(attempts: AttemptStore) -> None:
    for number in [3, 1, 2, 5, 4]:
        await attempts.put(attempt(number, 10.0))
    assert [one.cid for one in await attempts.page(None, 2)] == [cid(1), cid(2)]
    assert [one.cid for one in await attempts.page(cid(2), 9)] == [cid(3), cid(4), cid(5)]
    assert await attempts.page(cid(5), 9) == []


@pytest.mark.parametrize(
    "damage", ["cid = x'0170'", "kind = 'pim'", "failed_at = x'00'", "retry_at = 'soon'", "count = x'ff'"]
)
async def test_a_damaged_one_keeps_no_other_from_its_turn(tmp_path: Path, damage: str) -> None:
    async with open_database(tmp_path / "node.db", pragmas=[], schema=SCHEMA) as database:
        attempts = SqliteAttempts(database)
        for number in (1, 2, 3):
            await attempts.put(attempt(number, 10.0 * number))
        await database.write(
            lambda rows: rows.execute(f"UPDATE attempts SET {damage} WHERE retry_at = 10").close()
        )
        assert await attempts.next_retry() in (10.0, 20.0)
        due = await attempts.claim(50.0, 1000.0, 600.0, 10)
        assert [one.cid for one in due] == [cid(2), cid(3)]
        assert {cid(2), cid(3)} <= {one.cid for one in await attempts.page(None, 10)}
        assert await attempts.get_many([cid(2)]) != [None]
        await attempts.put(attempt(1, 30.0))
