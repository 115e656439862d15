"""Runs trio in its own thread; asyncio and trio meet here and nowhere else.

Work crosses in order, and in batches: whoever crosses first rings the bell, those who come before it is
answered share it. The thread is supervised: when trio dies, everything that waits on it gets
`PortalClosed`, and a new trio is started after a pause. Programs (`running`) are started again in the
new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar

import outcome
import trio

T = TypeVar("T")
P = ParamSpec("P")
Job = Callable[[], object]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0  # seconds before a dead trio or program is started again
_log = logging.getLogger(__name__)


class PortalClosed(Exception):
    """The trio side has gone away: what was asked of it may or may not have happened."""


class _Bell:
    """A queue into another thread that wakes it once per batch, not once per job."""

    def __init__(self, ring: Callable[[Job], object]) -> None:
        self._jobs: deque[Job] = deque()
        self._ring = ring
        self._rung = False

    def put(self, job: Job) -> None:
        self._jobs.append(job)
        if not self._rung:
            self._rung = True
            self._ring(self._answer)

    def _answer(self) -> None:
        self._rung = False  # before the jobs are taken: a job put after this line rings again
        while self._jobs:
            self._jobs.popleft()()


class _Trio:
    """One run of trio in one thread, from its start to its end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.ready: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.waiting: set[asyncio.Future[object]] = set()
        self._thread = threading.Thread(target=self._run, name="libp2p", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            trio.run(self._main)
        except BaseException as error:  # noqa: BLE001  # a thread has nobody above it: said, then restarted
            _log.error("the libp2p thread died: %r", error, exc_info=error)
        with contextlib.suppress(RuntimeError):  # the asyncio loop was closed before us
            self.loop.call_soon_threadsafe(self._settle)

    async def _main(self) -> None:
        self.token = trio.lowlevel.current_trio_token()
        self.stop = trio.Event()
        self.to_trio = _Bell(self.token.run_sync_soon)
        self.to_asyncio = _Bell(self.loop.call_soon_threadsafe)
        async with trio.open_nursery() as self.nursery:
            self.loop.call_soon_threadsafe(self.ready.set_result, None)
            await self.stop.wait()
            self.nursery.cancel_scope.cancel()

    def _settle(self) -> None:
        if not self.ready.done():
            self.ready.set_exception(PortalClosed("trio did not start"))
        for future in self.waiting:
            if not future.done():
                future.set_exception(PortalClosed("the libp2p thread died; it is being restarted"))
        self.ended.set_result(None)

    async def close(self) -> None:
        with contextlib.suppress(PortalClosed, trio.RunFinishedError):
            await asyncio.shield(self.ready)
            self.token.run_sync_soon(self.stop.set)
        await asyncio.shield(self.ended)
        self._thread.join()  # telling us was its last act


class Portal:
    """The door between the two loops. Made by `open_portal`."""

    def __init__(self, trio_run: _Trio) -> None:
        self._trio = trio_run
        self._loop = trio_run.loop

    def post(self, job: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """From asyncio: call job(*args) on the trio side soon, in the order posted. Raises PortalClosed.

        The job must not raise: nobody is there to hear it, and trio would end.
        """
        if self._trio.ended.done():
            raise PortalClosed("the libp2p thread is being restarted")
        with contextlib.suppress(trio.RunFinishedError):  # dying: whoever waits for the job will hear of it
            self._trio.to_trio.put(lambda: job(*args, **kwargs))

    def reply(self, job: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """From trio: call job(*args) on the asyncio side soon, in the order replied."""
        self._trio.to_asyncio.put(lambda: job(*args, **kwargs))

    async def wait(self, future: asyncio.Future[T]) -> T:
        """Await a future that the trio side settles by `reply`. Raises PortalClosed when trio dies first.

        The future itself is not cancelled with the waiter.
        """
        waiting: set[asyncio.Future[T]] = self._trio.waiting  # type: ignore[assignment]  # mixed results
        waiting.add(future)
        try:
            return await asyncio.shield(future)
        finally:
            waiting.discard(future)

    async def to_trio(self, work: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """From asyncio: run work(*args) on the trio side. Raises what it raises, or PortalClosed.

        Cancelling here cancels there, and waits until it has ended there.
        """
        result: asyncio.Future[outcome.Outcome[T]] = self._loop.create_future()
        scope, trio_run = trio.CancelScope(), self._trio

        async def run() -> None:
            got: outcome.Outcome[T] = outcome.Error(PortalClosed("cancelled on the trio side"))
            try:
                with scope:
                    got = outcome.Value(await work(*args, **kwargs))
            except Exception as error:  # noqa: BLE001  # carried over and raised on the other side
                got = outcome.Error(error)
            finally:
                trio_run.to_asyncio.put(lambda: _settle(result, got))

        self.post(lambda: trio_run.nursery.start_soon(run))
        try:
            return (await self.wait(result)).unwrap()
        except asyncio.CancelledError:
            with contextlib.suppress(PortalClosed):
                self.post(scope.cancel)
                await self.wait(result)
            raise

    @asynccontextmanager
    async def running(
        self, name: str, program: Callable[[], Awaitable[None]], ended: Callable[[], None] = lambda: None
    ) -> AsyncIterator[None]:
        """Keep a trio program running for as long as the block lasts: when it ends, start it again.

        `ended` is called on the asyncio side each time that it has ended.
        """
        task = asyncio.create_task(self._keep_running(name, program, ended), name=f"keep {name} running")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _keep_running(
        self, name: str, program: Callable[[], Awaitable[None]], ended: Callable[[], None]
    ) -> None:
        pause = _FIRST_PAUSE
        while True:
            started = self._loop.time()
            try:
                await self.to_trio(program)
                _log.error("%s ended; starting it again", name)
            except Exception as error:  # noqa: BLE001  # a bug there must not end the node: said, restarted
                _log.error("%s failed; starting it again: %r", name, error, exc_info=error)
            finally:
                ended()
            pause = _FIRST_PAUSE if self._loop.time() - started > _LONGEST_PAUSE else pause
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _keep_alive(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            started = self._loop.time()
            await asyncio.shield(self._trio.ended)
            pause = _FIRST_PAUSE if self._loop.time() - started > _LONGEST_PAUSE else pause
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            replacement = _Trio(self._loop)
            try:
                await asyncio.shield(replacement.ready)
            except PortalClosed:
                continue
            except asyncio.CancelledError:
                await replacement.close()
                raise
            self._trio = replacement

    async def _close(self) -> None:
        await self._trio.close()


def _settle(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)


@asynccontextmanager
async def open_portal() -> AsyncIterator[Portal]:
    """A portal with trio running behind it; leaving cancels what still runs there, and joins the thread."""
    trio_run = _Trio(asyncio.get_running_loop())
    try:
        await asyncio.shield(trio_run.ready)
    except asyncio.CancelledError:
        await trio_run.close()
        raise
    portal = Portal(trio_run)
    guard = asyncio.create_task(portal._keep_alive(), name="keep trio alive")
    try:
        yield portal
    finally:
        guard.cancel()
        await asyncio.wait([guard])
        await portal._close()
