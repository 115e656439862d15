"""The power fails at every step of a run, the disk keeps what it likes: no promise broken, no byte wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from support.collecting import each, names_swept
from support.dags import cids
from support.power_loss import History, RecordingDisk, Step, commits_recorded, left_after
from support.verifying import damaged

from blockstore.block import Block
from blockstore.pinning import gc
from blockstore.volumes.open_store import VolumeOptions, open_volume_blockstore
from blockstore.volumes.store import VolumeBlockstore

VOLUME_BYTES = 128 * 1024
_OPERATIONS = 40


@dataclass(frozen=True)
class Promise:
    """What was said until then: `flushed` survives a power failure, `put` the end of the process."""

    flushed: frozenset[Block] = frozenset()
    put: frozenset[Block] = frozenset()


@dataclass
class Run:
    """Random operations on a store, whose promises are noted beside what they did to the disk."""

    store: VolumeBlockstore
    history: History
    chance: Random
    blocks: Sequence[Block]
    put: set[Block] = field(default_factory=set)
    flushed: set[Block] = field(default_factory=set)

    async def step(self) -> None:
        operation = self.chance.choices(
            [self._put, self._delete, self._collect, self._flush, self._give_back], [8, 3, 1, 2, 1]
        )[0]
        await operation()
        self._promise()

    def _promise(self) -> None:
        self.history.note(Promise(frozenset(self.flushed), frozenset(self.put)))

    def _let_go(self, blocks: Sequence[Block]) -> None:
        self.put -= set(blocks)
        self.flushed -= set(blocks)
        self._promise()

    async def _put(self) -> None:
        blocks = self.chance.sample(self.blocks, self.chance.randrange(1, 8))
        await self.store.put_many(blocks)
        self.put |= set(blocks)

    async def _delete(self) -> None:
        blocks = self.chance.sample(self.blocks, 5)
        self._let_go(blocks)
        await self.store.delete_many(cids(blocks))

    async def _flush(self) -> None:
        put = set(self.put)
        await self.store.flush()
        self.flushed = put

    async def _give_back(self) -> None:
        await gc.give_back(self.store)

    async def _collect(self) -> None:
        kept = [block for block in self.blocks if self.chance.random() < 0.4]
        self._let_go([block for block in self.blocks if block not in kept])
        await names_swept(self.store, each([gc.Root(block.cid) for block in kept]))
        await gc.give_back(self.store)


async def recorded(
    folder: Path, disk: RecordingDisk, seed: int, monkeypatch: pytest.MonkeyPatch
) -> list[Block]:
    chance, history = Random(seed), disk.history
    sizes = [chance.choice([200, 3000, 9000, 30_000]) for _ in range(60)]
    blocks = [Block.of(chance.randbytes(size)) for size in sizes]
    path = folder / "blocks.db"
    options = VolumeOptions(volume_bytes=VOLUME_BYTES, hole_bytes=4096, disk=disk)
    with commits_recorded(path, history, monkeypatch):
        async with open_volume_blockstore(path, options=options) as store:
            run = Run(store, history, chance, blocks)
            for _ in range(_OPERATIONS):
                await run.step()
    return blocks


def promised(steps: Sequence[Step]) -> Promise:
    notes = [step.note for step in steps if isinstance(step.note, Promise)]
    return notes[-1] if notes else Promise()


async def check(folder: Path, blocks: Sequence[Block], promise: frozenset[Block]) -> None:
    options = VolumeOptions(volume_bytes=VOLUME_BYTES)
    for _ in range(2):
        async with open_volume_blockstore(folder / "blocks.db", options=options) as store:
            lost = [block for block in promise if not await store.has(block.cid)]
            assert not lost, f"{len(lost)} blocks are lost"
            said = set(await store.missing(cids(blocks)))
            found = await store.get_many(cids(blocks))
            assert [one for one, block in zip(found, blocks, strict=True) if one not in (None, block)] == []
            assert said == {block.cid for block, one in zip(blocks, found, strict=True) if one is None}
            assert (await store.usage()).damaged == 0
    async with open_volume_blockstore(folder / "blocks.db", options=options) as store:
        await store.put_many(blocks)
        await gc.give_back(store)
        assert await store.get_many(cids(blocks)) == list(blocks)
        assert await damaged(store) == []
        usage = await store.usage()
        assert (usage.blocks, usage.bytes) == (len(blocks), sum(len(block.data) for block in blocks))


@pytest.mark.parametrize(
    ("seed", "punching"), [(0, True), pytest.param(2, True, marks=pytest.mark.slow), (5, False)]
)
async def test_whatever_a_power_failure_leaves_keeps_every_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, punching: bool
) -> None:
    history = History()
    disk = RecordingDisk(history, punching=punching)
    blocks = await recorded(tmp_path, disk, seed, monkeypatch)
    kinds = {step.kind for step in history.steps}
    assert {"create", "write", "sync", "remove", "index_sync", "commit", *["punch"][:punching]} <= kinds
    first = next(number for number, step in enumerate(history.steps) if step.kind == "commit")
    for end in range(first + 1, len(history.steps) + 1):
        if history.steps[end - 1].kind in ("note", "sync_folder"):
            continue
        steps, how = history.steps[:end], ("all", "some", "safe", "some")[end % 4]
        folder = tmp_path / f"{end}"
        left_after(steps, folder, Random(f"{seed}{how}{end}"), how)
        promise = promised(steps)
        try:
            await check(folder, blocks, promise.put if how == "all" else promise.flushed)
        except AssertionError as error:
            raise AssertionError(f"{how} after step {end} ({steps[-1].kind} {steps[-1].name})") from error
