"""Who hears of changes of the pinset, each in order and after it is durable."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from blockstore.common.guard import Guard
from cluster.interfaces import PinChange


class ChangeFeed:
    """A handler that fails keeps no other from hearing; `guard` counts it."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._handlers: list[Callable[[PinChange], None]] = []

    def subscribe(self, handler: Callable[[PinChange], None]) -> None:
        """Hear of every change from now on."""
        self._handlers.append(handler)

    def publish(self, changes: Sequence[PinChange]) -> None:
        for change in changes:
            for handler in self._handlers:
                try:
                    handler(change)
                except Exception:  # entering the guard for each change would cost more than the handlers
                    with self._guard.around("reporting a changed pin", str(change.cid)):
                        raise
