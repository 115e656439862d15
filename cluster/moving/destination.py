"""Where a pin of a drained member goes: who of its holders stays, and who comes beside them."""

from __future__ import annotations

from collections.abc import Collection

from cluster.allocation.placement import Situation
from cluster.moving.move import Move
from cluster.pin import Pin

UNKNOWN_SIZE = 1024 * 1024
"""Bytes that a pin of unknown size counts for where members are compared."""


def drained_move(pin: Pin, away: Collection[str], situation: Situation) -> Move:
    """Its holders without those that are `away`: drained, gone or no members. Raises NotEnoughPeers.

    Up to the pin's maximum. A member that is silent for a moment stays.
    """
    staying = tuple(peer for peer in pin.allocations if peer not in away)[: pin.options.replication_max]
    coming = situation.beside(pin.options, staying, pin.size)
    for peer in coming:
        if peer not in pin.allocations:
            situation.promised(peer, pin.size or UNKNOWN_SIZE)
    return Move(pin, (*staying, *coming))
