"""Several exchanges as one: the first that has it wins, slow ones get company, failures pass the turn on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from support.clock import virtual_time

from blockstore.block import Block
from blockstore.cid import CID
from blockstore.errors import BlockNotFound, HashMismatch
from blockstore.fetch_progress import FetchProgress
from blockstore.fetch_report import FetchOutcome, FetchReport
from node.retrieval.hedged_exchange import HedgedExchange, Route

BLOCK = Block.of(b"wanted")


class Source:
    """An exchange that answers after a while, or fails, and knows who asked."""

    def __init__(self, delay: float = 0.0, error: Exception | None = None, connected: int = 1) -> None:
        self.delay = delay
        self.connected = connected
        self.error = error
        self.asked = 0
        self.withdrawn = 0
        self.holders = 0
        self.outcome = FetchOutcome.WAITING

    async def fetch(
        self, cid: CID, hints: Sequence[str] = (), progress: FetchProgress | None = None
    ) -> Block:
        assert progress is not None
        self.asked += 1
        self.holders = len(hints)
        progress.follow(self.reports)
        try:
            await asyncio.sleep(self.delay)
        except asyncio.CancelledError:
            self.withdrawn += 1
            raise
        if self.error:
            raise self.error
        return BLOCK

    def reports(self) -> tuple[FetchReport, ...]:
        outcomes = (self.outcome,) * self.connected
        return (FetchReport(connected=self.connected, holders=self.holders, outcomes=outcomes),)

    def session(self, root: CID) -> Source:
        return self


def missing(reason: str = "nobody has it") -> BlockNotFound:
    return BlockNotFound(BLOCK.cid, reason)


def staggered(*sources: Source) -> HedgedExchange:
    return HedgedExchange([Route(f"way {number}", source) for number, source in enumerate(sources)])


@virtual_time
async def test_a_prompt_first_way_is_the_only_one_asked() -> None:
    first, second = Source(0.1), Source()
    assert await staggered(first, second).fetch(BLOCK.cid) == BLOCK
    assert (first.asked, second.asked) == (1, 0)


@virtual_time
async def test_a_slow_first_way_gets_company_and_is_withdrawn_when_the_other_has_it() -> None:
    first, second = Source(60), Source(1)
    assert await staggered(first, second).fetch(BLOCK.cid) == BLOCK
    assert asyncio.get_running_loop().time() == pytest.approx(1.3)
    assert first.withdrawn == 1


@virtual_time
async def test_a_way_that_fails_passes_its_turn_on_at_once() -> None:
    first, second = Source(error=missing()), Source(0.1)
    assert await staggered(first, second).fetch(BLOCK.cid) == BLOCK
    assert asyncio.get_running_loop().time() == pytest.approx(0.1)


@virtual_time
async def test_a_block_that_no_way_has_is_not_found_with_every_reason() -> None:
    exchange = staggered(Source(0.5, missing("two peers, none has it")), Source(error=HashMismatch("c", "p")))
    with pytest.raises(BlockNotFound, match="way 0: two peers, none has it") as caught:
        await exchange.fetch(BLOCK.cid)
    assert "way 1: block c does not match its hash" in str(caught.value)


@virtual_time
async def test_a_bug_in_a_way_is_not_taken_for_a_missing_block() -> None:
    with pytest.raises(ZeroDivisionError):
        await staggered(Source(error=ZeroDivisionError()), Source(60)).fetch(BLOCK.cid)


@virtual_time
async def test_within_a_session_the_way_that_answered_goes_first() -> None:
    first, second = Source(60), Source()
    exchange = staggered(first, second)
    session = exchange.session(BLOCK.cid)
    await session.fetch(BLOCK.cid)
    await session.fetch(BLOCK.cid)
    assert (first.asked, second.asked) == (1, 2)
    await exchange.session(BLOCK.cid).fetch(BLOCK.cid)
    assert first.asked == 2


@virtual_time
async def test_cancelling_withdraws_every_want() -> None:
    sources = Source(60), Source(60)
    fetching = asyncio.ensure_future(staggered(*sources).fetch(BLOCK.cid))
    await asyncio.sleep(1)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert [source.withdrawn for source in sources] == [1, 1]


@virtual_time
async def test_a_way_with_nobody_within_reach_gets_no_head_start_unless_somebody_is_to_hold_the_block() -> (
    None
):
    first, second = Source(60, connected=0), Source(0.1)
    await staggered(first, second).fetch(BLOCK.cid)
    assert asyncio.get_running_loop().time() == pytest.approx(0.1)
    await staggered(first, second).fetch(BLOCK.cid, ["holder"])
    assert asyncio.get_running_loop().time() == pytest.approx(0.5)


@virtual_time
async def test_a_better_way_that_has_the_dag_by_now_wins_it_back() -> None:
    peers, gateway = Source(error=missing()), Source(0.2)
    session = staggered(peers, gateway).session(BLOCK.cid)
    await session.fetch(BLOCK.cid)
    peers.error, peers.delay = None, 0.1
    asked = peers.asked
    for _ in range(3):  # the first of them is asked for everywhere
        await session.fetch(BLOCK.cid)
    assert peers.asked == asked + 3
    assert gateway.withdrawn == 1


@virtual_time
async def test_a_dag_from_one_way_costs_the_others_a_want_every_other_second() -> None:
    peers, gateway = Source(60), Source(0.1)
    session = staggered(peers, gateway).session(BLOCK.cid)
    for _ in range(100):
        await session.fetch(BLOCK.cid)
    assert gateway.asked == 100
    assert 4 <= peers.asked <= 7


@virtual_time
async def test_a_fetch_in_flight_tells_what_failed_and_what_is_awaited() -> None:
    progress = FetchProgress()
    exchange = staggered(Source(error=missing()), Source(60))
    fetching = asyncio.ensure_future(exchange.fetch(BLOCK.cid, (), progress))
    await asyncio.sleep(1)
    assert list(map(str, progress.reports())) == [
        "way 0: nobody has it",
        "way 1: 1 peer asked, none has answered yet",
    ]
    fetching.cancel()
    await asyncio.gather(fetching, return_exceptions=True)


@virtual_time
async def test_when_one_way_has_failed_somebody_new_on_the_others_is_not_waited_for() -> None:
    nobody, gateway = Source(60, connected=0), Source(1, missing("no gateway has it"))
    with pytest.raises(BlockNotFound, match=r"way 1: no gateway has it; way 0: no peer connected"):
        await staggered(nobody, gateway).fetch(BLOCK.cid)
    assert asyncio.get_running_loop().time() < 1.5
    assert nobody.withdrawn == 1


@virtual_time
async def test_who_may_still_answer_is_waited_for_when_the_others_have_failed() -> None:
    peer, gateway = Source(5), Source(error=missing())
    assert await staggered(peer, gateway).fetch(BLOCK.cid) == BLOCK


class Line(Source):
    """A slow line: it brings one block after the other."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.turn = asyncio.Lock()

    async def fetch(
        self, cid: CID, hints: Sequence[str] = (), progress: FetchProgress | None = None
    ) -> Block:
        assert progress is not None
        progress.follow(self.reports)
        async with self.turn:
            return await super().fetch(cid, hints, progress)


@virtual_time
async def test_a_way_that_sends_keeps_its_turn_while_many_blocks_are_in_flight() -> None:
    line, gateway = Line(0.25), Source()
    session = staggered(line, gateway).session(BLOCK.cid)
    await asyncio.gather(*(session.fetch(Block.of(bytes([n])).cid) for n in range(32)))
    assert (line.asked, gateway.asked) == (32, 0)
    assert asyncio.get_running_loop().time() == pytest.approx(8)


@virtual_time
async def test_a_way_that_sends_other_blocks_and_does_not_have_this_one_loses_its_turn() -> None:
    line, gateway = Line(0.25), Source()
    session = staggered(line, gateway).session(BLOCK.cid)
    others = asyncio.gather(*(session.fetch(Block.of(bytes([n])).cid) for n in range(32)))
    await asyncio.sleep(1)
    line.outcome = FetchOutcome.LACKING
    began = asyncio.get_running_loop().time()
    await session.fetch(BLOCK.cid)
    assert asyncio.get_running_loop().time() - began < 0.5
    await others


@virtual_time
async def test_no_way_keeps_its_turn_for_ever() -> None:
    line, gateway = Line(0.25), Source()
    session = staggered(line, gateway).session(BLOCK.cid)
    await asyncio.gather(*(session.fetch(Block.of(bytes([n])).cid) for n in range(60)))
    assert 15 < gateway.asked < 25
    assert asyncio.get_running_loop().time() < 11


@virtual_time
async def test_a_way_where_everybody_has_said_no_gives_up_its_head_start() -> None:
    peers, gateway = Source(10, missing(), connected=2), Source(0.01)
    peers.outcome = FetchOutcome.LACKING
    assert await staggered(peers, gateway).fetch(BLOCK.cid) == BLOCK
    assert asyncio.get_running_loop().time() < 0.2


@virtual_time
async def test_what_was_learned_outside_of_a_dag_says_nothing_of_the_next_one() -> None:
    first, second = Source(60), Source()
    exchange = staggered(first, second)
    await exchange.fetch(BLOCK.cid)
    first.delay = 0.1
    await exchange.session(BLOCK.cid).fetch(BLOCK.cid)
    assert (first.asked, second.asked) == (2, 1)


@virtual_time
async def test_once_a_faster_way_was_found_the_rest_of_a_dag_goes_that_way() -> None:
    """A slow way answers what it was asked first, and does not win its turn back by that."""
    line, gateway = Line(1.0), Source(0.05)
    exchange = staggered(line, gateway)
    session, turns = exchange.session(BLOCK.cid), asyncio.Semaphore(16)

    async def fetch(number: int) -> None:
        async with turns:
            await session.fetch(Block.of(b"%d" % number).cid)

    await asyncio.gather(*map(fetch, range(1000)))
    assert asyncio.get_running_loop().time() < 20
    assert line.asked < 60


@virtual_time
async def test_what_came_by_each_way_is_counted_over_all_sessions() -> None:
    ways = [Route("slow", Source(5.0)), Route("fast", Source())]
    for name in (b"one", b"two"):
        await HedgedExchange(ways).session(Block.of(name).cid).fetch(BLOCK.cid)
    assert [(way.came.blocks, way.came.bytes) for way in ways] == [(0, 0), (2, 2 * len(BLOCK.data))]
