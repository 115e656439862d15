"""Readers beside deletions, holes, copies and moves: what they get is the block, or nothing."""

from __future__ import annotations

import asyncio
import random
import threading
from pathlib import Path

from support.collecting import each, names_swept
from support.dags import cids

from blockstore.block import Block
from blockstore.pinning import gc
from blockstore.volumes.open_store import VolumeOptions, open_volume_blockstore
from blockstore.volumes.read_generations import ReadGenerations
from blockstore.volumes.store import VolumeBlockstore

_CHANCE = random.Random(16)
BLOCKS = [Block.of(_CHANCE.randbytes(_CHANCE.choice([900, 5000, 40_000]))) for _ in range(120)]
KEPT = BLOCKS[::6]
OPTIONS = VolumeOptions(volume_bytes=256 * 1024, hole_bytes=4096)


async def read(store: VolumeBlockstore, chance: random.Random, stop: asyncio.Event) -> int:
    """How many blocks were given until it is to stop."""
    count = 0
    while not stop.is_set():
        asked = chance.sample(BLOCKS, chance.randrange(1, 40))
        found = await store.get_many(cids(asked))
        assert [one for one, block in zip(found, asked, strict=True) if one not in (None, block)] == []
        lost = [block for one, block in zip(found, asked, strict=True) if one is None and block in KEPT]
        assert not lost, "what is kept is there in every moment"
        count += len(found) - found.count(None)
    return count


async def change(store: VolumeBlockstore, chance: random.Random) -> None:
    """Put, delete, collect and give back."""
    for _ in range(25):
        await store.put_many(chance.sample(BLOCKS, 40))
        await store.delete_many([block.cid for block in chance.sample(BLOCKS, 30) if block not in KEPT])
        await gc.give_back(store)
        kept = {*KEPT, *chance.sample(BLOCKS, 30)}
        await names_swept(store, each([gc.Root(block.cid) for block in kept]))
        await gc.give_back(store)


async def test_a_reader_is_never_given_what_was_given_back(tmp_path: Path) -> None:
    async with open_volume_blockstore(tmp_path / "blocks.db", options=OPTIONS) as store:
        await store.put_many(BLOCKS)
        stop = asyncio.Event()
        async with asyncio.timeout(100), asyncio.TaskGroup() as tasks:
            readers = [tasks.create_task(read(store, random.Random(seed), stop)) for seed in range(4)]
            await change(store, random.Random(17))
            stop.set()
        assert sum(reader.result() for reader in readers) > 100
        assert (await store.usage()).damaged == 0


async def test_giving_back_waits_for_readers_that_began_before_and_for_no_others() -> None:
    generations = ReadGenerations()
    begun, go_on = threading.Event(), threading.Event()

    def read_slowly() -> None:
        with generations.reading():
            begun.set()
            assert go_on.wait(30)

    early = asyncio.create_task(asyncio.to_thread(read_slowly))
    await asyncio.to_thread(begun.wait, 30)
    waiting = asyncio.create_task(asyncio.to_thread(generations.wait))
    done, _ = await asyncio.wait([waiting], timeout=0.2)
    assert not done
    go_on.set()
    await early
    await waiting
    with generations.reading():
        later = asyncio.create_task(asyncio.to_thread(generations.wait))
        done, _ = await asyncio.wait([later], timeout=0.2)
        assert not done, "it began before"
    await later
    await asyncio.to_thread(generations.wait)
