"""Virtual time for asyncio: a day of sleeping takes no time, and a deadlock has a name."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import ParamSpec, TypeVar, TypeVarTuple, Unpack

P = ParamSpec("P")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: when nothing is ready, the clock jumps to the next timer."""

    loop: AutoJumpLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("deadlock: every task is waiting and no timer is set")
        if not ready and timeout is not None and timeout > 0:
            self.loop.now += timeout
        return ready


class AutoJumpLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when every task waits for a timer.

    Only for tests without sockets, subprocesses or databases: those take real time, and the clock would run
    ahead of them. Executor jobs run at once on the loop's thread, for the same reason.
    """

    def __init__(self) -> None:
        self.now = 0.0
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], R], *args: *Ts
    ) -> asyncio.Future[R]:
        done: asyncio.Future[R] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - handed to whoever awaits, as an executor does
            done.set_exception(error)
        return done


def virtual_time(test: Callable[P, Coroutine[None, None, R]]) -> Callable[P, R]:
    """Run this async test on an AutoJumpLoop. Fixtures and parameters work, async fixtures do not."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with asyncio.Runner(loop_factory=AutoJumpLoop) as runner:
            return runner.run(test(*args, **kwargs))

    return run
