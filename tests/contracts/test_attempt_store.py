"""What every AttemptStore promises (cluster/ports.py), run against each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest
from support.inline_database import InlineDatabase
from support.memory_attempts import MemoryAttempts
from support.memory_cluster import cid

from blockstore.sqlite.database import open_database
from cluster.pin import KeyRange
from cluster.pinset.tables import schema
from cluster.ports import Attempt, AttemptStore, OperationKind
from cluster.tracking import attempt_store
from cluster.tracking.attempt_store import SqliteAttempts

Opener = Callable[[Path], AbstractAsyncContextManager[AttemptStore]]


@asynccontextmanager
async def sqlite(folder: Path) -> AsyncIterator[AttemptStore]:
    async with open_database(
        folder / "cluster.db", pragmas=schema.PRAGMAS, schema=schema.SCHEMA + attempt_store.SCHEMA, readers=1
    ) as database:
        yield SqliteAttempts(database)


@asynccontextmanager
async def inline(_folder: Path) -> AsyncIterator[AttemptStore]:
    """The database of simulations."""
    with closing(InlineDatabase(tables=attempt_store.SCHEMA)) as database:
        yield SqliteAttempts(database)


@asynccontextmanager
async def memory(_folder: Path) -> AsyncIterator[AttemptStore]:
    yield MemoryAttempts()


OPENERS: dict[str, Opener] = {"sqlite": sqlite, "inline": inline, "memory": memory}


@pytest.fixture(params=OPENERS)
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AttemptStore]:
    async with OPENERS[request.param](tmp_path) as opened:
        yield opened


def failed(number: int, retry_at: float | None = 100.0, count: int = 1) -> Attempt:
    return Attempt(cid(number), OperationKind.PIN, count, "no providers found", 50.0, retry_at)


async def fill(kept: AttemptStore, *found: Attempt) -> None:
    for attempt in found:
        await kept.put(attempt)


async def test_an_empty_store_has_no_attempt(kept: AttemptStore) -> None:
    assert await kept.get_many([cid(1)]) == [None]
    assert await kept.get_many([]) == []
    assert await kept.next_retry() is None
    assert await kept.page(None, 10) == []
    assert await kept.claim(1e12, 1e12, 0.0, 10) == []
    await kept.remove(cid(1))


async def test_what_was_put_is_found_in_the_order_of_the_question(kept: AttemptStore) -> None:
    one, two = failed(1), replace(failed(2), kind=OperationKind.UNPIN, error="ü" * 4000)
    await fill(kept, one, two)
    assert await kept.get_many([cid(2), cid(3), cid(1), cid(2)]) == [two, None, one, two]


async def test_a_later_attempt_stands_in_place_of_the_one_before(kept: AttemptStore) -> None:
    later = failed(1, retry_at=300.0, count=2)
    await fill(kept, failed(1), later)
    assert await kept.get_many([cid(1)]) == [later]
    assert await kept.page(None, 10) == [later]
    assert await kept.next_retry() == 300.0


async def test_what_was_removed_is_gone(kept: AttemptStore) -> None:
    await fill(kept, failed(1), failed(2))
    await kept.remove(cid(1))
    assert await kept.get_many([cid(1), cid(2)]) == [None, failed(2)]
    await fill(kept, failed(1), failed(3))
    await kept.remove_many([cid(3), cid(9), cid(1)])
    await kept.remove_many([])
    assert await kept.page(None, 10) == [failed(2)]


async def test_the_next_retry_is_the_soonest(kept: AttemptStore) -> None:
    await fill(kept, failed(1, 300.0), failed(2, 100.5), failed(3, 200.0))
    assert await kept.next_retry() == 100.5


async def test_due_ones_are_claimed_soonest_first_as_they_were_and_moved_in_the_same_step(
    kept: AttemptStore,
) -> None:
    await fill(kept, failed(1, 30.0), failed(2, 10.0), failed(3, 20.0), failed(4, 40.0))
    assert await kept.claim(30.0, 1000.0, 500.0, 2) == [failed(2, 10.0), failed(3, 20.0)]
    assert await kept.get_many([cid(2), cid(3)]) == [failed(2, 500.0), failed(3, 500.0)]
    assert await kept.claim(30.0, 1000.0, 500.0, 10) == [failed(1, 30.0)]
    assert await kept.claim(30.0, 1000.0, 500.0, 10) == []
    assert await kept.next_retry() == 40.0


async def test_two_that_claim_at_once_share_what_is_due(kept: AttemptStore) -> None:
    await fill(kept, *(failed(number, float(number)) for number in range(40)))
    claims = await asyncio.gather(*(kept.claim(100.0, 1000.0, 500.0, 10) for _ in range(5)))
    found = [attempt.cid for claim in claims for attempt in claim]
    assert sorted(map(bytes, found)) == sorted(bytes(cid(number)) for number in range(40))


async def test_a_retry_beyond_the_horizon_is_due_and_one_at_it_is_not(kept: AttemptStore) -> None:
    await fill(kept, failed(1, 1000.0), failed(2, 1000.5))
    assert await kept.claim(10.0, 1000.0, 20.0, 10) == [failed(2, 1000.5)]
    assert await kept.get_many([cid(1), cid(2)]) == [failed(1, 1000.0), failed(2, 20.0)]


async def test_one_that_is_not_retried_is_kept_and_never_due(kept: AttemptStore) -> None:
    await fill(kept, failed(1, None), failed(2, 300.0))
    assert await kept.next_retry() == 300.0
    assert await kept.claim(1e6, 1e3, 2e6, 10) == [failed(2, 300.0)]
    await kept.remove(cid(2))
    assert await kept.next_retry() is None
    assert await kept.get_many([cid(1)]) == [failed(1, None)]
    assert await kept.page(None, 10) == [failed(1, None)]


async def test_pages_go_on_behind_the_last_in_order_of_the_bytes(kept: AttemptStore) -> None:
    numbers = [9, 3, 70_000, 1, 256]
    await fill(kept, *map(failed, numbers))
    listed: list[Attempt] = []
    while page := await kept.page(listed[-1].cid if listed else None, 2):
        assert len(page) <= 2
        listed += page
    assert listed == [failed(number) for number in sorted(numbers)]
    assert await kept.page(cid(2), 1) == [failed(3)]


async def test_a_key_range_has_its_attempts_in_order_with_every_bit_of_their_times(
    kept: AttemptStore,
) -> None:
    odd = replace(failed(3), failed_at=1_732_695_555.1234567, retry_at=1_732_695_999.9999998, error='ü"\n<')
    await fill(kept, failed(9), failed(1), odd, replace(failed(5), kind=OperationKind.UNPIN))
    assert await kept.within(KeyRange(bytes(cid(1)), bytes(cid(5))), 10) == await kept.get_many(
        [cid(3), cid(5)]
    )
    assert await kept.within(KeyRange(), 2) == [failed(1), odd]
    assert await kept.within(KeyRange(bytes(cid(9))), 2) == []


async def test_they_are_counted_by_kind_whatever_becomes_of_them(kept: AttemptStore) -> None:
    assert await kept.count(OperationKind.PIN) == 0
    unpin = replace(failed(2), kind=OperationKind.UNPIN)
    await fill(kept, failed(1), unpin, failed(3), failed(3, count=2))
    assert [await kept.count(kind) for kind in OperationKind] == [2, 1]
    await fill(kept, failed(2))
    assert [await kept.count(kind) for kind in OperationKind] == [3, 0]
    await kept.remove_many([cid(1), cid(2), cid(9)])
    assert [await kept.count(kind) for kind in OperationKind] == [1, 0]
