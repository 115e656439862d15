"""Single flight: one running call for all callers that want its result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class _Call(Generic[T]):
    def __init__(self, task: asyncio.Task[T]) -> None:
        self.task = task
        self.waiting = 0


class SingleFlight(Generic[K, T]):
    """At most one call a key runs at a time; it ends early when no caller waits for it any more."""

    def __init__(self) -> None:
        self._calls: dict[K, _Call[T]] = {}

    def __contains__(self, key: K) -> bool:
        return key in self._calls

    async def get(self, key: K, call: Callable[[], Coroutine[object, object, T]]) -> T:
        """The result of the call that runs for that key, or of this one. Raises what it raises.

        Cancelling leaves the others their call.
        """
        shared = self._calls.get(key)
        if shared is None or shared.task.done():
            shared = self._calls[key] = _Call(asyncio.create_task(call()))
        shared.waiting += 1
        try:
            await asyncio.wait((shared.task,))
            return shared.task.result()
        finally:
            shared.waiting -= 1
            if not shared.waiting:
                await self._end(key, shared)

    async def _end(self, key: K, shared: _Call[T]) -> None:
        if self._calls.get(key) is shared:
            del self._calls[key]  # the next caller begins a new one
        shared.task.cancel()
        await asyncio.gather(shared.task, return_exceptions=True)
