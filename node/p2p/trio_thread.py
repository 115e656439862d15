"""One run of trio in a thread of its own, and the queues of jobs between its loop and asyncio's.

Jobs cross in order, and in batches: the first one wakes the other loop, those that come before it is awake
share that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import trio

T = TypeVar("T")
Job = Callable[[], object]
_log = logging.getLogger(__name__)


class PortalClosed(Exception):
    """The trio side has gone away: what was asked of it may or may not have happened."""


class JobQueue:
    """A queue into another thread. `wake` has its loop call something soon: once a batch, not once a job."""

    def __init__(self, wake: Callable[[Job], object]) -> None:
        self._jobs: deque[Job] = deque()
        self._wake = wake
        self._waking = False

    def put(self, job: Job) -> None:
        self._jobs.append(job)
        if not self._waking:
            self._waking = True
            self._wake(self._drain)

    def _drain(self) -> None:
        self._waking = False  # before the jobs are taken: a job put after this line wakes again
        while self._jobs:
            self._jobs.popleft()()


@dataclass(frozen=True, slots=True)
class _TrioLoop:
    """What a started trio is reached by."""

    jobs: JobQueue
    nursery: trio.Nursery


class TrioThread:
    """Runs from when it is made. `ready` is done when jobs are taken, `ended` when the thread is through."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.ready: asyncio.Future[_TrioLoop] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._waiting: set[asyncio.Future[object]] = set()
        self._replies = JobQueue(loop.call_soon_threadsafe)
        self._thread = threading.Thread(target=self._run, name="libp2p", daemon=True)
        self._thread.start()

    def post(self, job: Job) -> None:
        """From asyncio: call it on the trio side soon. Raises PortalClosed. It must not raise."""
        if self.ended.done():
            raise PortalClosed("the libp2p thread is being restarted")
        with contextlib.suppress(trio.RunFinishedError):  # dying: what waits for the job hears of it
            self.ready.result().jobs.put(job)

    def start(self, work: Callable[[], Awaitable[object]]) -> None:
        """From asyncio: run it on the trio side soon. Raises PortalClosed. It must not raise."""
        self.post(lambda: self.ready.result().nursery.start_soon(work))

    def reply(self, job: Job) -> None:
        """From trio: call it on the asyncio side soon."""
        self._replies.put(job)

    async def wait(self, future: asyncio.Future[T]) -> T:
        """Await a future that a reply settles. Raises PortalClosed when trio ends before.

        The future itself is not cancelled with its waiter.
        """
        waiting: set[asyncio.Future[T]] = self._waiting  # type: ignore[assignment]  # mixed results
        waiting.add(future)
        try:
            return await asyncio.shield(future)
        finally:
            waiting.discard(future)

    async def close(self) -> None:
        """Cancel what runs there, and wait for the end of the thread."""
        with contextlib.suppress(PortalClosed, trio.RunFinishedError):
            running = await asyncio.shield(self.ready)
            running.jobs.put(running.nursery.cancel_scope.cancel)
        await asyncio.shield(self.ended)
        self._thread.join()  # that it has ended was its last word

    def _run(self) -> None:
        try:
            trio.run(self._main)
        except BaseException as error:  # noqa: BLE001  # nothing is above a thread: said, then restarted
            _log.error("the libp2p thread died: %r", error, exc_info=error)
        with contextlib.suppress(RuntimeError):  # the asyncio loop was closed before us
            self._loop.call_soon_threadsafe(self._settle)

    async def _main(self) -> None:
        jobs = JobQueue(trio.lowlevel.current_trio_token().run_sync_soon)
        async with trio.open_nursery() as nursery:
            self._loop.call_soon_threadsafe(self.ready.set_result, _TrioLoop(jobs, nursery))
            await trio.sleep_forever()

    def _settle(self) -> None:
        if not self.ready.done():
            self.ready.set_exception(PortalClosed("trio did not start"))
        for future in self._waiting:
            if not future.done():
                future.set_exception(PortalClosed("the libp2p thread died; it is being restarted"))
        self.ended.set_result(None)
