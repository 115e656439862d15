"""Group commit: one write for many callers, closed by number, size or age."""

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
async def running(disk: Disk, size: int = 10, age: float = 5.0) -> AsyncIterator[WriteBatcher]:
    batcher = WriteBatcher(disk.write, size, age)
    async with background(batcher.run()):
        yield batcher


def write(number: int, metadata: str = "") -> PinWrite:
    return PinWrite(some_cid(number), encode_pin(some_pin(number, metadata={"k": metadata})))


@virtual_time
async def test_a_full_batch_is_written_at_once_and_the_rest_when_it_is_old_enough() -> None:
    disk, began = Disk(), asyncio.get_running_loop().time()
    async with running(disk) as batcher:
        answers = await asyncio.gather(*(batcher.submit(write(number)) for number in range(12)))
    assert disk.batches == [10, 2]
    assert asyncio.get_running_loop().time() - began == pytest.approx(1 + 5 + 1)
    assert answers == [bytes(some_cid(number)) for number in range(12)]


@virtual_time
async def test_a_batch_of_many_bytes_is_full_before_its_number() -> None:
    disk = Disk()
    async with running(disk, size=1000) as batcher:
        await asyncio.gather(*(batcher.submit(write(number, "v" * 15_000)) for number in range(50)))
    assert len(disk.batches) == 2


@virtual_time
async def test_a_write_that_fails_fails_its_callers_and_no_others() -> None:
    disk = Disk(failing=OSError("disk full"))
    async with running(disk, size=2) as batcher:
        answers = await asyncio.gather(
            *(batcher.submit(write(number)) for number in range(4)), return_exceptions=True
        )
    assert [isinstance(answer, OSError) for answer in answers] == [True, True, False, False]


@virtual_time
async def test_closing_writes_what_was_submitted() -> None:
    disk = Disk()
    async with running(disk, age=60.0) as batcher:
        caller = asyncio.create_task(batcher.submit(write(1)))
        await asyncio.sleep(0.1)
        await batcher.close()
        assert caller.done()
    assert disk.batches == [1]
