"""Prefetch of one step: the next item is made while the consumer is busy with this one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

T = TypeVar("T")


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
