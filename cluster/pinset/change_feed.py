"""Who hears of changes of the pinset, each in order and after it is durable."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from blockstore.common.guard import Guard
from cluster.interfaces import PinChange


class ChangeFeed:
    """A handler that fails keeps no other from hearing; `guard` counts it."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._handlers: list[Callable[[Sequence[PinChange]], None]] = []

    def subscribe(self, handler: Callable[[Sequence[PinChange]], None]) -> None:
        """Hear of all changes from now on."""
        self._handlers.append(handler)

    def publish(self, changes: Sequence[PinChange]) -> None:
        if not changes:
            return
        for handler in self._handlers:
            with self._guard.around("reporting changed pins", f"{changes[0].cid} and others"):
                handler(changes)
