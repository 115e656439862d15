"""Runs trio in its own thread; asyncio and trio meet here and nowhere else.

The thread is supervised: when trio dies, everything that waits on it gets `PortalClosed`, and a new trio is
started after a pause. Programs (`running`) are started again in the new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar

import outcome
import trio

from blockstore.common.backoff import Backoff
from node.p2p.trio_thread import PortalClosed, TrioThread

__all__ = ["Portal", "PortalClosed", "open_portal"]

T = TypeVar("T")
P = ParamSpec("P")

_BACKOFF = Backoff(0.1, 30.0)  # seconds before a dead trio or program is started again
_log = logging.getLogger(__name__)


class Portal:
    """The door between the two loops. Made by `open_portal`."""

    def __init__(self, thread: TrioThread) -> None:
        self._thread = thread
        self._loop = asyncio.get_running_loop()

    def post(self, job: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """From asyncio: call job(*args) on the trio side soon, in the order posted. Raises PortalClosed.

        The job must not raise: trio would end by it.
        """
        self._thread.post(lambda: job(*args, **kwargs))

    def reply(self, job: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """From trio: call job(*args) on the asyncio side soon, in the order replied."""
        self._thread.reply(lambda: job(*args, **kwargs))

    async def wait(self, future: asyncio.Future[T]) -> T:
        """Await a future that the trio side settles by `reply`. Raises PortalClosed when trio dies first.

        The future itself is not cancelled with the waiter.
        """
        return await self._thread.wait(future)

    async def to_trio(self, work: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """From asyncio: run work(*args) on the trio side. Raises what it raises, or PortalClosed.

        Cancelling here cancels there, and waits until it has ended there.
        """
        result: asyncio.Future[outcome.Outcome[T]] = self._loop.create_future()
        scope, thread = trio.CancelScope(), self._thread

        async def run() -> None:
            got: outcome.Outcome[T] = outcome.Error(PortalClosed("cancelled on the trio side"))
            try:
                with scope:
                    got = outcome.Value(await work(*args, **kwargs))
            except Exception as error:  # noqa: BLE001  # carried over and raised on the other side
                got = outcome.Error(error)
            finally:
                thread.reply(lambda: _settle(result, got))

        thread.start(run)
        try:
            return (await thread.wait(result)).unwrap()
        except asyncio.CancelledError:
            with contextlib.suppress(PortalClosed):
                thread.post(scope.cancel)
                await thread.wait(result)
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

    async def keep_alive(self) -> None:
        """Start trio again whenever it has died, until cancelled."""
        restarts = _Restarts(self._loop)
        while True:
            await asyncio.shield(self._thread.ended)
            await restarts.pause()
            with contextlib.suppress(PortalClosed):
                self._thread = await _started(self._loop)

    async def close(self) -> None:
        """End what runs on the trio side, and its thread."""
        await self._thread.close()

    async def _keep_running(
        self, name: str, program: Callable[[], Awaitable[None]], ended: Callable[[], None]
    ) -> None:
        restarts = _Restarts(self._loop)
        while True:
            try:
                await self.to_trio(program)
                _log.error("%s ended; starting it again", name)
            except Exception as error:  # noqa: BLE001  # a bug there must not end the node: said, restarted
                _log.error("%s failed; starting it again: %r", name, error, exc_info=error)
            finally:
                ended()
            await restarts.pause()


class _Restarts:
    """Pauses before something is started again; they begin anew after it lived longer than the longest."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._now = loop.time
        self._started = self._now()
        self._pauses = iter(_BACKOFF)

    async def pause(self) -> None:
        if self._now() - self._started > _BACKOFF.longest:
            self._pauses = iter(_BACKOFF)
        await asyncio.sleep(next(self._pauses))
        self._started = self._now()


def _settle(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)


async def _started(loop: asyncio.AbstractEventLoop) -> TrioThread:
    """A thread in which trio runs. Raises PortalClosed; cancelled, it leaves none behind."""
    thread = TrioThread(loop)
    try:
        await asyncio.shield(thread.ready)
    except asyncio.CancelledError:
        await thread.close()
        raise
    return thread


@asynccontextmanager
async def open_portal() -> AsyncIterator[Portal]:
    """A portal with trio running behind it; leaving cancels what still runs there, and joins the thread."""
    portal = Portal(await _started(asyncio.get_running_loop()))
    keeper = asyncio.create_task(portal.keep_alive(), name="keep trio alive")
    try:
        yield portal
    finally:
        keeper.cancel()
        await asyncio.wait([keeper])
        await portal.close()
