"""Waiting for blocks: only so long, with the reason; what could not be had is remembered for a while."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial

import pytest
from support.clock import virtual_time

from blockstore.block import Block
from blockstore.cid import CID
from blockstore.errors import BlockNotFound
from blockstore.fetch_progress import FetchesInFlight
from blockstore.fetch_report import FetchOutcome, FetchReport, summary, together
from blockstore.memory_store import MemoryBlockstore
from blockstore.read_budget import ReadBudget
from node.retrieval.deadline import Deadline
from node.retrieval.deadline_blocks import DeadlineBlocks, Phase, RetrievalTimeout
from node.retrieval.negative_cache import NegativeCache, RecentlyMissing

BLOCK, OTHER = Block.of(b"wanted"), Block.of(b"wanted too")


class Far:
    """A source whose blocks come after `delay` seconds, or not; in flight meanwhile."""

    def __init__(self, delay: float = 0.0, error: Exception | None = None) -> None:
        self.store = MemoryBlockstore()
        self.delay = delay
        self.error = error
        self.asked: list[CID] = []
        self.in_flight = FetchesInFlight()
        self.read_budget = ReadBudget()

    async def get(self, cid: CID) -> Block:
        return (await self.get_many([cid]))[0]

    async def get_many(self, cids: Sequence[CID]) -> list[Block]:
        self.asked += cids
        found = await self.store.get_many(cids)
        here = [block for block in found if block is not None]
        if len(here) < len(found):
            with ExitStack() as fetches:
                for cid in cids:
                    fetches.enter_context(self.in_flight.begun(cid)).follow(self.reports)
                await asyncio.sleep(self.delay)
            raise self.error or BlockNotFound.after(cids[found.index(None)], *self.reports())
        return here

    def reports(self) -> tuple[FetchReport, ...]:
        return (FetchReport("cluster", holders=2, holders_connected=1, outcomes=(FetchOutcome.WAITING,)),)


def patient(source: Far, seconds: float = 30.0, misses: NegativeCache | None = None) -> DeadlineBlocks:
    kept = NegativeCache(10) if misses is None else misses
    return DeadlineBlocks(source, source.in_flight, source.store, kept, Deadline(seconds))


def now() -> float:
    return asyncio.get_running_loop().time()


@virtual_time
async def test_a_block_that_does_not_come_in_time_is_told_with_who_was_asked() -> None:
    blocks = patient(Far(delay=60))
    with pytest.raises(RetrievalTimeout) as caught:
        await blocks.get(BLOCK.cid)
    assert now() == 30
    assert caught.value.cid == BLOCK.cid
    assert str(caught.value) == (
        "Unable to retrieve content within timeout period: no answer in 30 s "
        f"for block {BLOCK.cid}, needed to follow the path; "
        "cluster: 2 to hold it, 1 of them connected; 1 peer asked, none has answered yet"
    )


@virtual_time
async def test_of_several_blocks_the_first_that_is_missing_is_told() -> None:
    source = Far(delay=60)
    await source.store.put_many([BLOCK])
    blocks = patient(source).needed(Phase.CONTENT)
    with pytest.raises(RetrievalTimeout, match=f"{OTHER.cid}, needed for the content"):
        await blocks.get_many([BLOCK.cid, OTHER.cid])


@virtual_time
async def test_all_waits_before_the_first_byte_share_one_deadline() -> None:
    blocks = patient(Far(delay=20))
    with pytest.raises(BlockNotFound):
        await blocks.get(BLOCK.cid)
    with pytest.raises(RetrievalTimeout):
        await blocks.get(OTHER.cid)
    assert now() == 30


@virtual_time
async def test_behind_the_first_byte_each_wait_has_its_own() -> None:
    blocks = patient(Far(delay=60))
    await asyncio.sleep(29)
    waiting = asyncio.ensure_future(blocks.get(BLOCK.cid))
    await asyncio.sleep(0.5)
    blocks.deadline.first_byte()
    with pytest.raises(RetrievalTimeout):
        await waiting
    assert now() == 59
    with pytest.raises(RetrievalTimeout):
        await blocks.get(OTHER.cid)
    assert now() == 89


@virtual_time
async def test_a_time_out_of_something_else_stays_what_it_is() -> None:
    with pytest.raises(TimeoutError, match="the database's") as caught:
        await patient(Far(error=TimeoutError("the database's"))).get(BLOCK.cid)
    assert caught.type is TimeoutError


@virtual_time
async def test_what_could_not_be_had_is_not_looked_for_again_for_a_while() -> None:
    source, misses = Far(), NegativeCache(10)
    with pytest.raises(BlockNotFound) as first:
        await patient(source, misses=misses).get(BLOCK.cid)
    with pytest.raises(RecentlyMissing) as again:
        await patient(source, misses=misses).get_many([OTHER.cid, BLOCK.cid])
    assert (again.value.cid, str(again.value.cause)) == (BLOCK.cid, str(first.value))
    assert type(again.value.cause) is first.type
    assert again.value.cause.__traceback__ is None
    assert again.value.retry_after == 10
    assert len(source.asked) == 1
    await asyncio.sleep(10)
    with pytest.raises(BlockNotFound) as later:
        await patient(source, misses=misses).get(BLOCK.cid)
    assert later.type is not RecentlyMissing


@virtual_time
async def test_what_has_come_here_meanwhile_is_given() -> None:
    source, misses = Far(), NegativeCache(10)
    with pytest.raises(BlockNotFound):
        await patient(source, misses=misses).get(BLOCK.cid)
    await source.store.put_many([BLOCK])
    assert await patient(source, misses=misses).get(BLOCK.cid) == BLOCK


@virtual_time
async def test_a_client_that_leaves_proves_nothing() -> None:
    source, misses = Far(delay=60), NegativeCache(10)
    waiting = asyncio.ensure_future(patient(source, misses=misses).get(BLOCK.cid))
    await asyncio.sleep(29)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    assert len(misses) == 0


@virtual_time
async def test_a_block_that_was_asked_for_at_the_end_of_the_time_is_not_taken_for_missing() -> None:
    source, misses = Far(delay=60), NegativeCache(10)
    blocks = patient(source, misses=misses)
    await asyncio.sleep(20)
    with pytest.raises(RetrievalTimeout):
        await blocks.get(BLOCK.cid)
    assert len(misses) == 0
    with pytest.raises(RetrievalTimeout):
        await patient(source, misses=misses).get_many([BLOCK.cid, OTHER.cid])
    assert list(misses.among([OTHER.cid, BLOCK.cid])) == [OTHER.cid, BLOCK.cid]


@virtual_time
async def test_what_is_remembered_is_bounded_and_the_oldest_goes_first() -> None:
    misses = NegativeCache(10)
    blocks = [Block.of(str(n).encode()) for n in range(5000)]
    for block in blocks:
        misses.add(block.cid, partial(BlockNotFound, block.cid))
    assert len(misses) == 4096
    assert list(misses.among([blocks[0].cid, blocks[-1].cid])) == [blocks[-1].cid]


@virtual_time
async def test_what_is_missed_again_is_remembered_anew() -> None:
    misses = NegativeCache(10)
    misses.add(BLOCK.cid, partial(BlockNotFound, BLOCK.cid))
    misses.add(OTHER.cid, partial(BlockNotFound, OTHER.cid))
    await asyncio.sleep(6)
    misses.add(BLOCK.cid, partial(BlockNotFound, BLOCK.cid))
    await asyncio.sleep(6)
    assert list(misses.among([BLOCK.cid, OTHER.cid])) == [BLOCK.cid]


@virtual_time
async def test_nothing_is_remembered_without_a_time_or_where_nobody_was_asked() -> None:
    for misses, source in (
        (NegativeCache(0), Far()),
        (NegativeCache(10), Far(error=BlockNotFound(BLOCK.cid, "offline"))),
    ):
        with pytest.raises(BlockNotFound):
            await patient(source, misses=misses).get(BLOCK.cid)
        assert len(misses) == 0


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (FetchReport(), "no peer connected"),
        (FetchReport(connected=2), "2 peers connected, none asked yet"),
        (FetchReport(connected=2, outcomes=(FetchOutcome.LACKING,) * 2), "2 peers asked, none has it"),
        (
            FetchReport(
                "open network",
                connected=5,
                outcomes=(FetchOutcome.WAITING, FetchOutcome.LACKING, FetchOutcome.WAITING),
            ),
            "open network: 3 peers asked: 1 without it, 2 yet to answer",
        ),
        (
            FetchReport("cluster", holders=3, holders_connected=0, outcomes=(FetchOutcome.UNREACHABLE,) * 3),
            "cluster: 3 to hold it, 0 of them connected; 3 peers asked, none could be reached",
        ),
        (
            FetchReport("cluster", note="hash function 0x1b is unknown"),
            "cluster: hash function 0x1b is unknown",
        ),
    ],
)
def test_what_was_tried_is_told_in_counts(report: FetchReport, text: str) -> None:
    assert str(report) == text


def test_several_are_told_together() -> None:
    gateways = [FetchReport(source="gateway", connected=1, outcomes=(outcome,)) for outcome in FetchOutcome]
    assert str(together(gateways)).startswith("9 gateways asked: 1 without it, 1 silent, 1 out of reach")
    assert summary([]) == "there is nobody to ask"
