"""Group commit: one write for what waits together, bounded by number and size."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from support.clock import virtual_time
from support.pinset_member import some_cid, some_pin

from blockstore.common.tasks import background
from cluster.common.pin_codec import encode_pin
from cluster.pinset.changes import PinWrite, Written
from cluster.replication.write_batcher import WriteBatcher


@dataclass
class Disk:
    """Takes a second for each batch; `failing` is raised by the next one."""

    batches: list[int] = field(default_factory=list)
    failing: Exception | None = None

    async def write(self, writes: Sequence[PinWrite]) -> Written:
        await asyncio.sleep(1)
        if self.failing is not None:
            failing, self.failing = self.failing, None
            raise failing
        self.batches.append(len(writes))
        return Written(tuple(bytes(write.cid) for write in writes), None)


@asynccontextmanager
async def running(disk: Disk, size: int = 10) -> AsyncIterator[WriteBatcher]:
    batcher = WriteBatcher(disk.write, size)
    async with background(batcher.run()):
        yield batcher


def write(number: int, metadata: str = "") -> PinWrite:
    return PinWrite(some_cid(number), encode_pin(some_pin(number, metadata={"k": metadata})))


@virtual_time
async def test_a_lone_write_waits_for_nothing_and_what_comes_meanwhile_goes_together() -> None:
    disk, began = Disk(), asyncio.get_running_loop().time()
    async with running(disk) as batcher:
        first = asyncio.create_task(batcher.submit([write(0)]))
        await asyncio.sleep(0.5)
        answers = await asyncio.gather(*(batcher.submit([write(number)]) for number in range(1, 13)))
        assert await first == [bytes(some_cid(0))]
    assert disk.batches == [1, 10, 2]
    assert asyncio.get_running_loop().time() - began == pytest.approx(3)
    assert answers == [[bytes(some_cid(number))] for number in range(1, 13)]


@virtual_time
async def test_a_group_is_one_batch_and_one_that_is_too_large_is_several_in_order() -> None:
    disk = Disk()
    async with running(disk) as batcher:
        small = asyncio.create_task(batcher.submit([write(number) for number in range(6)]))
        large = asyncio.create_task(batcher.submit([write(number) for number in range(25)]))
        assert await small == [bytes(some_cid(number)) for number in range(6)]
        assert await large == [bytes(some_cid(number)) for number in range(25)]
        assert await batcher.submit([]) == []
    assert disk.batches == [6, 10, 10, 5]


@virtual_time
async def test_a_batch_of_many_bytes_is_full_before_its_number() -> None:
    disk = Disk()
    async with running(disk, size=1000) as batcher:
        await batcher.submit([write(number, "v" * 15_000) for number in range(50)])
        await asyncio.gather(*(batcher.submit([write(number, "v" * 15_000)]) for number in range(50)))
    assert len(disk.batches) == 4


@virtual_time
async def test_a_write_that_fails_fails_its_callers_and_no_others() -> None:
    disk = Disk(failing=OSError("disk full"))
    async with running(disk, size=2) as batcher:
        answers = await asyncio.gather(
            *(batcher.submit([write(number)]) for number in range(4)), return_exceptions=True
        )
    assert [isinstance(answer, OSError) for answer in answers] == [True, True, False, False]


@virtual_time
async def test_closing_writes_what_was_submitted() -> None:
    disk = Disk()
    async with running(disk, size=1) as batcher:
        callers = [asyncio.create_task(batcher.submit([write(number)])) for number in range(3)]
        await asyncio.sleep(0.1)
        await batcher.close()
        await asyncio.sleep(0.1)
        assert all(caller.done() for caller in callers)
    assert disk.batches == [1, 1, 1]
