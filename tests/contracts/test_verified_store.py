"""What every VerifiedStore promises, run against each of them: rot is found, whatever is cached."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from support.collecting import each, names_swept
from support.dags import cids, leaf, leaves
from support.rot import rot
from support.verifying import verified

from blockstore.block import Block
from blockstore.cid import CID, RAW
from blockstore.sqlite.open_store import open_sqlite_blockstore
from blockstore.sqlite.store import SqliteBlockstore
from blockstore.volumes.open_store import open_volume_blockstore

STORES: dict[str, Callable[[Path], AbstractAsyncContextManager[SqliteBlockstore]]] = {
    "sqlite": lambda folder: open_sqlite_blockstore(folder / "blocks.db"),
    "volumes": lambda folder: open_volume_blockstore(folder / "blocks.db"),
}
Opener = Callable[[Path], AbstractAsyncContextManager[SqliteBlockstore]]


@pytest.fixture(params=STORES)
def opener(request: pytest.FixtureRequest) -> Opener:
    return STORES[request.param]


def noise(number: int, size: int) -> Block:
    return Block.of(random.Random(number).randbytes(size))


async def test_a_pass_goes_over_every_block_once(opener: Opener, tmp_path: Path) -> None:
    blocks = [*leaves(1500), *leaves(40, start=9000, size=500_000)]
    async with opener(tmp_path) as store:
        assert await verified(store) == await store.verify_behind(b"")
        await store.put_many(blocks)
        found = await verified(store)
        assert (found.blocks, found.bytes) == (len(blocks), sum(len(block.data) for block in blocks))
        assert not [*found.damaged, *found.unreadable, *found.missing]


async def test_a_pass_goes_on_from_its_place_in_a_later_run(opener: Opener, tmp_path: Path) -> None:
    blocks = leaves(60, size=500_000)
    async with opener(tmp_path) as store:
        await store.put_many(blocks)
        first = await store.verify_behind(b"")
        assert 0 < first.blocks < 60
    count, place = first.blocks, first.place
    async with opener(tmp_path) as store:
        while place:
            step = await store.verify_behind(place)
            count, place = count + step.blocks, step.place
    assert count == 60


async def test_blocks_that_are_asked_for_are_verified_and_what_is_not_here_is_missing(
    opener: Opener, tmp_path: Path
) -> None:
    async with opener(tmp_path) as store:
        await store.put_many(leaves(3))
        found = await store.verify([*cids(leaves(2)), leaf(7).cid, CID.identity(RAW, b"in the name")])
        assert (found.blocks, found.bytes, [*found.missing]) == (2, 64, [leaf(7).cid])


@pytest.mark.parametrize("size", [300, 1_000_000])
async def test_rot_is_found_though_the_block_was_read_just_before(
    opener: Opener, tmp_path: Path, size: int
) -> None:
    blocks = [noise(number, size) for number in range(12)]
    async with opener(tmp_path) as store:
        await store.put_many(blocks)
    async with opener(tmp_path) as store:
        assert await store.get_many(cids(blocks)) == blocks
        rot(tmp_path, blocks[5].data[-64:])
        found = await verified(store)
        assert ([*found.damaged], found.blocks) == ([blocks[5].cid], 11)
        assert await store.missing(cids(blocks)) == [blocks[5].cid]
        assert await store.get_many([blocks[5].cid]) == [None]
        assert (await store.usage()).damaged == 1
        await store.until_damaged()
        again = await store.verify([blocks[5].cid])
        assert [*again.damaged] == [blocks[5].cid]


async def test_what_was_rotten_and_came_again_is_sound(opener: Opener, tmp_path: Path) -> None:
    blocks = [noise(number, 50_000) for number in range(12)]
    async with opener(tmp_path) as store:
        await store.put_many(blocks)
    rot(tmp_path, blocks[3].data[-64:])
    async with opener(tmp_path) as store:
        assert [*(await store.verify(cids(blocks))).damaged] == [blocks[3].cid]
        await store.put_many([blocks[3]])
        assert not (await store.verify(cids(blocks))).damaged
        assert not (await verified(store)).damaged
        assert await store.get_many(cids(blocks)) == blocks
        assert (await store.usage()).damaged == 0


async def test_verifying_is_no_use(opener: Opener, tmp_path: Path) -> None:
    async with opener(tmp_path) as store:
        await store.put_many(leaves(3))
        with store.protect():
            await verified(store)
            await store.verify(cids(leaves(3)))
        assert len(await names_swept(store, each([]))) == 3
