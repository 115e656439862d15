"""Several exchanges as one: the first that has it wins, slow ones get company, failures pass the turn on."""

import asyncio

import pytest
from support.clock import virtual_time

from blockstore.block import Block
from blockstore.errors import BlockNotFound, HashMismatch
from node.retrieval.staggered import StaggeredExchange, Way

BLOCK = Block.of(b"wanted")


class Source:
    """An exchange that answers after a while, or fails, and knows who asked."""

    def __init__(self, delay=0.0, error=None):
        self.delay = delay
        self.error = error
        self.asked = 0
        self.withdrawn = 0
        self.announced = []

    async def fetch(self, cid, hints=()):
        self.asked += 1
        try:
            await asyncio.sleep(self.delay)
        except asyncio.CancelledError:
            self.withdrawn += 1
            raise
        if self.error:
            raise self.error
        return BLOCK

    async def announce(self, cids):
        self.announced += cids

    def session(self, root):
        return self


def missing(reason="nobody has it"):
    return BlockNotFound(BLOCK.cid, reason)


def staggered(*sources):
    return StaggeredExchange([Way(f"way {number}", source) for number, source in enumerate(sources)])


@virtual_time
async def test_a_prompt_first_way_is_the_only_one_asked():
    first, second = Source(0.1), Source()
    assert await staggered(first, second).fetch(BLOCK.cid) == BLOCK
    assert (first.asked, second.asked) == (1, 0)


@virtual_time
async def test_a_slow_first_way_gets_company_and_is_withdrawn_when_the_other_has_it():
    first, second = Source(60), Source(1)
    assert await staggered(first, second).fetch(BLOCK.cid) == BLOCK
    assert asyncio.get_running_loop().time() == pytest.approx(1.3)
    assert first.withdrawn == 1


@virtual_time
async def test_a_way_that_fails_passes_its_turn_on_at_once():
    first, second = Source(error=missing()), Source(0.1)
    assert await staggered(first, second).fetch(BLOCK.cid) == BLOCK
    assert asyncio.get_running_loop().time() == pytest.approx(0.1)


@virtual_time
async def test_a_block_that_no_way_has_is_not_found_with_every_reason():
    exchange = staggered(Source(0.5, missing("two peers, none has it")), Source(error=HashMismatch("c", "p")))
    with pytest.raises(BlockNotFound, match="way 0: two peers, none has it") as caught:
        await exchange.fetch(BLOCK.cid)
    assert "way 1: block c does not match its hash" in str(caught.value)


@virtual_time
async def test_a_bug_in_a_way_is_not_taken_for_a_missing_block():
    with pytest.raises(ZeroDivisionError):
        await staggered(Source(error=ZeroDivisionError()), Source(60)).fetch(BLOCK.cid)


@virtual_time
async def test_within_a_session_the_way_that_answered_goes_first():
    first, second = Source(60), Source()
    exchange = staggered(first, second)
    session = exchange.session(BLOCK.cid)
    await session.fetch(BLOCK.cid)
    await session.fetch(BLOCK.cid)
    assert (first.asked, second.asked) == (1, 2)
    await exchange.session(BLOCK.cid).fetch(BLOCK.cid)
    assert first.asked == 2


@virtual_time
async def test_cancelling_withdraws_every_want():
    sources = Source(60), Source(60)
    fetching = asyncio.ensure_future(staggered(*sources).fetch(BLOCK.cid))
    await asyncio.sleep(1)
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert [source.withdrawn for source in sources] == [1, 1]


@virtual_time
async def test_stored_blocks_are_announced_on_every_way():
    sources = Source(), Source()
    await staggered(*sources).announce([BLOCK.cid])
    assert [source.announced for source in sources] == [[BLOCK.cid], [BLOCK.cid]]
