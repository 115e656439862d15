"""What every ReservedStore promises, run against each of them: no two who come are promised the same room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path

import pytest
from support.dags import leaf, leaves

from blockstore.block import Block
from blockstore.blocks import Blocks, OfflineExchange
from blockstore.car.importer import import_car
from blockstore.car.writer import car_stream
from blockstore.errors import StorageFull
from blockstore.sqlite.open_store import open_sqlite_blockstore
from blockstore.sqlite.store import SqliteBlockstore
from blockstore.volumes.open_store import open_volume_blockstore

MIB = 1 << 20
STORES: dict[str, Callable[[Path], AbstractAsyncContextManager[SqliteBlockstore]]] = {
    "sqlite": lambda folder: open_sqlite_blockstore(folder / "blocks.db", quota=20 * MIB),
    "volumes": lambda folder: open_volume_blockstore(folder / "blocks.db", quota=20 * MIB),
}


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqliteBlockstore]:
    async with STORES[request.param](tmp_path) as opened:
        yield opened


async def test_what_is_reserved_is_not_free_for_others(store: SqliteBlockstore) -> None:
    with store.reserve() as one, store.reserve() as other:
        await one.need(12 * MIB)
        usage = await store.usage()
        assert usage.reserved == 12 * MIB
        assert usage.free < 8.1 * MIB
        with pytest.raises(StorageFull, match="12 MiB of 20 MiB used, and 12 MiB more do not fit"):
            await other.need(12 * MIB)
        await other.need(6 * MIB)
        await one.need(13 * MIB)  # in place of what it said before
        with pytest.raises(StorageFull):
            await one.need(15 * MIB)
        assert (await store.usage()).reserved == 19 * MIB
    assert (await store.usage()).reserved == 0


async def test_what_has_come_is_to_come_no_more(store: SqliteBlockstore) -> None:
    with store.reserve() as reservation:
        await reservation.need(4 * MIB)
        before = (await store.usage()).free
        await store.put_many(leaves(4, size=MIB))
        reservation.took(4 * MIB)
        usage = await store.usage()
        assert usage.reserved == 0
        assert abs(usage.free - before) < 3 * MIB  # with the log, and room for what is freed later
        reservation.took(MIB)  # more than was said
        assert (await store.usage()).reserved == 0


async def test_of_many_who_come_at_once_those_are_promised_room_that_find_it(store: SqliteBlockstore) -> None:
    with ExitStack() as stack:
        who = [stack.enter_context(store.reserve()) for _ in range(8)]
        answers = await asyncio.gather(*(one.need(6 * MIB) for one in who), return_exceptions=True)
        assert [isinstance(answer, StorageFull) for answer in answers].count(True) == 5


async def test_a_reservation_forbids_nobody_to_put(store: SqliteBlockstore) -> None:
    with store.reserve() as reservation:
        await reservation.need(19 * MIB)
        await store.put_many([leaf(1, size=2 * MIB)])
    assert await store.has(leaf(1, size=2 * MIB).cid)


async def test_of_two_cars_that_come_at_once_one_is_refused_before_its_first_block(
    store: SqliteBlockstore,
) -> None:
    source = Blocks(store, OfflineExchange())
    cars = [leaves(12, start=100 * number, size=MIB) for number in (1, 2)]
    begun = asyncio.Barrier(2)

    async def coming(blocks: list[Block]) -> AsyncGenerator[Block]:
        for number, block in enumerate(blocks):
            if number == 4:
                await begun.wait()  # both are on their way
            yield block

    imports = (
        import_car(source, car_stream([blocks[0].cid], coming(blocks)), reserving=store.reserve)
        for blocks in cars
    )
    ended = await asyncio.gather(*imports, return_exceptions=True)
    assert sorted(type(one).__name__ for one in ended) == ["CarSummary", "StorageFull"]
    assert (await store.usage()).blocks == 12
