"""One pin that goes to other members: values."""

from __future__ import annotations

from typing import NamedTuple

from cluster.pin import Pin


class Move(NamedTuple):
    """A pin as it is, and who is to hold it in the end."""

    pin: Pin
    holders: tuple[str, ...]

    @property
    def coming(self) -> tuple[str, ...]:
        """Those that do not hold it yet."""
        return tuple(peer for peer in self.holders if peer not in self.pin.allocations)

    @property
    def leaves(self) -> bool:
        """Whether any of those that hold it is to go."""
        return not set(self.pin.allocations) <= set(self.holders)

    @property
    def staged(self) -> tuple[str, ...]:
        """Those that hold it and those that are to: what is allocated until the new ones have it."""
        return (*self.pin.allocations, *self.coming)

    @property
    def needed(self) -> int:
        """How many have to have it before any lets go."""
        return max(1, self.pin.options.replication_min)
