"""Many members that pull at once: each has its share, and none is sent elsewhere."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from hypothesis import given
from hypothesis import strategies as st
from support.bulk import bulk_members
from support.dags import leaves, node

from blockstore.block import Block
from blockstore.blocks import Blocks, OfflineExchange
from blockstore.ipld.dag_walk import walk
from blockstore.memory_store import MemoryBlockstore
from node.bulk.fair_turns import FairTurns

LARGE = [Block.of(bytes([n]) * 1024 * 1024) for n in range(12)]


async def test_who_has_the_fewest_turns_is_next_and_among_those_who_waits_longest() -> None:
    turns, order = FairTurns(2), list[str]()

    async def work(peer: str) -> None:
        with turns.of(peer) as own:
            await own.take()
            order.append(peer)
            await asyncio.sleep(0)

    await asyncio.gather(*map(work, ["a", "a", "a", "a", "b", "c"]))
    assert order == ["a", "a", "b", "a", "c", "a"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.booleans()), max_size=12))
def test_no_turn_is_lost_or_made_whoever_is_cancelled(requests: list[tuple[str, int, bool]]) -> None:
    async def run() -> None:
        turns, running, most = FairTurns(3), 0, 0

        async def work(peer: str, steps: int) -> None:
            nonlocal running, most
            with turns.of(peer) as own:
                await own.take()
                running += 1
                most = max(most, running)
                try:
                    for _ in range(steps):
                        await asyncio.sleep(0)
                finally:
                    running -= 1

        tasks = [asyncio.create_task(work(peer, steps)) for peer, steps, _ in requests]
        await asyncio.sleep(0)
        for task, (_, _, cancelled) in zip(tasks, requests, strict=True):
            if cancelled:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert most <= 3
        await asyncio.wait_for(asyncio.gather(*(turns.take("d") for _ in range(3))), 1)

    asyncio.run(run())


async def test_more_requests_than_turns_are_all_answered_in_bulk() -> None:
    async with bulk_members(4) as (giver, *takers):
        await giver.source.store.put_many(LARGE)
        giver.source.released.clear()
        asked = [asyncio.create_task(taker.fetch(LARGE, giver)) for taker in takers for _ in range(6)]
        await giver.source.until(lambda: giver.source.reading == 16)
        giver.source.released.set()
        assert await asyncio.gather(*asked) == [LARGE] * 18
        assert giver.bulk.refused() == {}


async def test_lists_of_one_dag_go_to_several_members_that_have_it() -> None:
    parts = leaves(6000, size=100)
    folders = [node([block.cid for block in parts[start : start + 100]]) for start in range(0, 6000, 100)]
    root = node([block.cid for block in folders])
    async with bulk_members(3) as (a, b, c):
        for giver in (a, b):
            await giver.source.store.put_many([root, *folders, *parts])
        blocks = Blocks(MemoryBlockstore(), OfflineExchange(), groups=c.bulk.exchange)
        session = blocks.session(root.cid, [a.peer, b.peer])
        async with aclosing(walk(session, root.cid)) as visits:
            assert len([visit async for visit in visits]) == 6061
        given_ = [giver.bulk.sent(c.peer) for giver in (a, b)]
        assert min(given_) > 100_000, given_
        assert sum(given_) == sum(len(block.data) for block in (root, *folders, *parts))
