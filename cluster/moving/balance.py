"""Which pin goes from which member to which, so that members are about equally full. Pure.

A member's share of all that named holders have is as large as its share of the room: its free bytes and what
it holds. A pin moves from the member that is furthest above its share to the one furthest below, where both
come nearer to it by that, the other one may hold it, and the pin's spread over tags does not become less.
Members within a twentieth of their share are left alone, so that it ends. A pin that was left with a holder
more than it asks for, by a move that was broken off, loses the one that is furthest above its share.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from cluster.allocation.placement import Situation, weight
from cluster.moving.move import Move
from cluster.pin import Pin

TOLERANCE = 0.05
"""Of its share that a member may have more or less."""


def is_movable(pin: Pin) -> bool:
    """Whether its holders were chosen by the cluster."""
    return bool(pin.allocations) and not pin.everywhere and not pin.options.user_allocations


@dataclass(slots=True)
class Balance:
    """`held`: bytes by member; `free`: those of members that may take pins. `move` counts what it moves."""

    held: dict[str, int]
    free: Mapping[str, int]
    shares: Mapping[str, float] = field(init=False)

    def __post_init__(self) -> None:
        room = {peer: free + self.held.get(peer, 0) for peer, free in self.free.items()}
        total, whole = sum(self.held.get(peer, 0) for peer in room), sum(room.values())
        self.shares = {peer: total * one / whole for peer, one in room.items()} if whole else {}

    def above(self, peer: str) -> float:
        """Bytes above its share; negative below it."""
        return self.held.get(peer, 0) - self.shares[peer]

    def move(self, pin: Pin, situation: Situation) -> Move | None:
        """One of its holders replaced, or None."""
        if not is_movable(pin) or not all(peer in self.shares for peer in pin.allocations):
            return None
        source = max(pin.allocations, key=lambda peer: (self.above(peer), peer))
        if len(pin.allocations) > pin.options.replication_max:
            self.held[source] -= weight(pin)
            return Move(pin, tuple(peer for peer in pin.allocations if peer != source))
        if self.above(source) < max(weight(pin) / 2, TOLERANCE * self.shares[source]):
            return None
        target = self._target(pin, source, situation)
        if target is None:
            return None
        self.held[source] -= weight(pin)
        self.held[target] = self.held.get(target, 0) + weight(pin)
        return Move(pin, tuple(target if peer == source else peer for peer in pin.allocations))

    def _target(self, pin: Pin, source: str, situation: Situation) -> str | None:
        others = [peer for peer in pin.allocations if peer != source]
        fitting = situation.candidates(pin.size) & self.shares.keys()
        for peer in sorted(fitting.difference(pin.allocations), key=lambda one: (self.above(one), one)):
            if self.above(peer) > -max(weight(pin) / 2, TOLERANCE * self.shares[peer]):
                return None
            if situation.spread([*others, peer]) >= situation.spread(pin.allocations):
                return peer
        return None


def add_held(held: dict[str, int], pin: Pin, members: Collection[str]) -> None:
    """Count a pin for those that are to hold it by name."""
    if not pin.everywhere:
        for peer in pin.allocations:
            if peer in members:
                held[peer] = held.get(peer, 0) + weight(pin)
