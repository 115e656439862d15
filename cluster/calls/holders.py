"""Those that are to hold a pin, asked whether they do: before this node lets go of a copy of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from blockstore.cid import CID
from cluster.context import ClusterContext
from cluster.pin import Pin, PinMode
from cluster.ports import CallFailed, PeerOffline

Holds = Callable[[str, CID, bool], Awaitable[bool]]
"""Ask a member whether it holds a block or, recursively, all of its DAG. Raises PeerOffline, CallFailed."""


class Holders:
    """Asks now, and remembers nothing: neither hours nor restarts stand for a copy."""

    def __init__(self, context: ClusterContext, holds: Holds) -> None:
        self._context = context
        self._holds = holds

    def of(self, pin: Pin) -> frozenset[str]:
        """Today's other members that are to hold that pin."""
        others = self._context.members.peers() - {self._context.peer}
        return frozenset(others if pin.everywhere else others & set(pin.allocations))

    async def lacking(self, pin: Pin) -> str:
        """Why a copy of that pin is needed beside those of its holders; empty when each of them has one.

        Holders that are no members any more do not count; at least the pin's minimum must have answered.
        """
        asked = sorted(self.of(pin))
        needed = max(len(asked), pin.options.replication_min, 1)
        holding = sum(await asyncio.gather(*(self._is_held_by(peer, pin) for peer in asked)))
        if holding >= needed:
            return ""
        return f"{holding} of the {needed} members that are to hold it say that they do"

    async def _is_held_by(self, peer: str, pin: Pin) -> bool:
        if peer not in self._context.calls.peers():
            return False
        try:
            return await self._holds(peer, pin.cid, pin.options.mode is PinMode.RECURSIVE)
        except (CallFailed, PeerOffline):
            return False
