"""Answers that are kept: so many, and none from before it was forgotten."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from blockstore.common.tasks import open_tasks
from node.names.cache import Cache, CachedAnswer


class Source:
    """Counts the look-ups of each key, and answers with their number, when it is let."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.asking: asyncio.Queue[str] = asyncio.Queue()
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, key: str) -> CachedAnswer[int]:
        self.asked.append(key)
        self.asking.put_nowait(key)
        number = self.asked.count(key)
        await self.open.wait()
        return CachedAnswer(number, ttl=60.0)


@asynccontextmanager
async def cache(
    size: int = 10, now: Callable[[], float] = lambda: 0.0
) -> AsyncIterator[tuple[Source, Cache[str, int]]]:
    source = Source()
    async with open_tasks() as tasks:
        yield source, Cache(source, tasks, now, size)


async def test_the_answers_that_came_last_are_kept() -> None:
    async with cache(size=2) as (_, kept):
        for key in "abcbc":
            assert await kept.get(key) == (1, 60.0)
        assert await kept.get("a") == (2, 60.0)


async def test_what_is_forgotten_while_it_is_looked_up_is_looked_up_again() -> None:
    async with cache() as (source, kept):
        source.open.clear()
        before = asyncio.create_task(kept.get("a"))
        await source.asking.get()
        kept.forget("a")
        after = asyncio.create_task(kept.get("a"))
        await source.asking.get()
        source.open.set()
        assert (await before, await after) == ((1, 60.0), (2, 60.0))
        assert await kept.get("a") == (2, 60.0)


async def test_a_clock_that_was_set_back_makes_no_answer_fresh() -> None:
    time = 1000.0
    async with cache(now=lambda: time) as (_, kept):
        assert await kept.get("a") == (1, 60.0)
        time = 10.0
        assert await kept.get("a") == (2, 60.0)
