"""Signals that end a process: each is an orderly end, and a second one does not wait for it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Ended(SystemExit):
    """A command that was interrupted: it undoes what is half done, and exits as shells expect."""

    def __init__(self, number: int) -> None:
        super().__init__(exit_code_of(number))


def exit_code_of(number: int) -> int:
    return 128 + number


def raise_at_signals() -> None:
    """SIGTERM, SIGHUP and SIGQUIT end a command as Ctrl-C does: by an exception, which cleans up."""
    for number in _wanted():
        if number != signal.SIGINT:  # Python has an exception for that one
            signal.signal(number, _raise)


def _raise(number: int, _frame: FrameType | None) -> None:
    for other in ENDING:  # what cleans up is not interrupted by the same signal
        signal.signal(other, _abort)
    raise Ended(number)


def _abort(number: int, _frame: FrameType | None) -> None:
    os._exit(exit_code_of(number))


class Stop:
    """Whether a daemon is to stop. Until it `may_wait`, a signal cancels the task that made this."""

    def __init__(self) -> None:
        self.requested = asyncio.Event()
        self._starting = asyncio.current_task()

    def may_wait(self) -> None:
        """From now on a task waits for `requested`."""
        self._starting = None

    def request(self, number: int) -> None:
        """A second signal ends the process at once."""
        if self.requested.is_set():
            os._exit(exit_code_of(number))
        self.requested.set()
        if self._starting is not None:
            self._starting.cancel()


@contextmanager
def stopping_at_signals() -> Iterator[Stop]:
    """Within the block every signal that ends a process is a request to the Stop instead."""
    stop, loop = Stop(), asyncio.get_running_loop()
    for number in _wanted():
        loop.add_signal_handler(number, stop.request, number)
    yield stop


def _wanted() -> list[signal.Signals]:
    """Without a hang-up that is to be ignored: `nohup` had it so."""
    return [
        number
        for number in ENDING
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
    ]
