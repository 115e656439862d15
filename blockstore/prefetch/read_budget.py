"""Work one step ahead of its consumer, and the memory that all who read ahead share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

Share = Callable[[], int]
"""Bytes that one reader may hold at present; it may always hold the one block that it needs next."""

TOTAL = 64 * 1024 * 1024
MOST = 16 * 1024 * 1024
LEAST = 1024 * 1024
"""A share below this is for one block at a time: what the next step needs is read when it is asked for."""


@dataclass(slots=True)
class _Readers:
    now: int = 0


_readers = _Readers()  # of this process, as its memory is


@contextmanager
def reading() -> Iterator[Share]:
    """Be one of the readers for the length of the block: the more there are, the less each reads ahead."""
    _readers.now += 1
    try:
        yield _share
    finally:
        _readers.now -= 1


def _share() -> int:
    return min(MOST, TOTAL // max(_readers.now, 1))


async def one_ahead(source: AsyncGenerator[T]) -> AsyncGenerator[T]:
    """What `source` gives; while the consumer is busy with one item, the next is being made.

    Closing it cancels the making and closes the source. Errors come in their place.
    """
    step: asyncio.Task[tuple[T] | None] | None = None
    try:
        while (item := await (step or _next(source))) is not None:
            step = asyncio.create_task(_next(source))
            yield item[0]
    finally:
        if step is not None:
            step.cancel()
            await asyncio.gather(step, return_exceptions=True)
        await source.aclose()


async def _next(source: AsyncGenerator[T]) -> tuple[T] | None:
    async for item in source:
        return (item,)
    return None
