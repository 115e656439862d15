"""Keeps what the data of one peer can break from breaking more than the work that is done for it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_log = logging.getLogger(__name__)


class Guard:
    """Stands wherever data that a peer chose enters a task or a loop that others depend on.

    `failures` counts unforeseen errors since the start: each one is a bug, ours or a library's. One guard
    serves a whole node, so that its face has one number to show.
    """

    def __init__(self) -> None:
        self.failures = 0

    def __repr__(self) -> str:
        return f"<Guard: {self.failures} failures>"

    @contextmanager
    def around(self, what: str, peer: str, *expected: type[Exception]) -> Iterator[None]:
        """No exception leaves the block; cancellation does.

        `what` is done, on behalf of `peer` (or of whatever else is named there: a CID, an address). Troubles
        that are `expected` here, such as those a network brings, are noted for debugging. Anything else is
        logged with its traceback and counted.
        """
        try:
            yield
        except Exception as error:  # noqa: BLE001  # the purpose of this file
            if only(error, expected):
                _log.debug("%s for %s: %r", what, peer, error)
            else:
                self.failures += 1
                _log.error("%s for %s failed: %r", what, peer, error, exc_info=error)


def only(error: BaseException, expected: tuple[type[Exception], ...]) -> bool:
    """Whether that is what was expected, or a group of nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return all(only(one, expected) for one in error.exceptions)
    return isinstance(error, expected)
