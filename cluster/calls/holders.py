"""Those that are to hold a pin, asked whether they do: for whoever has a copy that he would let go of."""

from __future__ import annotations

import asyncio

from cluster.interfaces import Membership
from cluster.pin import Pin, PinMode
from cluster.ports import CallFailed, PeerCalls, PeerOffline
from cluster.tracking.executor import Holds


class Holders:
    """Asks now, and remembers nothing: neither hours nor restarts stand for a copy."""

    def __init__(self, peer: str, membership: Membership, calls: PeerCalls, holds: Holds) -> None:
        self._peer = peer
        self._membership = membership
        self._calls = calls
        self._holds = holds

    async def lacking(self, pin: Pin) -> str:
        """Why a copy of that pin is needed beside those of its holders; empty when each of them has one.

        Holders that are no members any more do not count; at least the pin's minimum must have answered.
        """
        members = {member.peer for member in self._membership.members()} - {self._peer}
        asked = sorted(members if pin.everywhere else members & set(pin.allocations))
        needed = max(len(asked), pin.options.replication_min, 1)
        holding = sum(await asyncio.gather(*(self._is_held_by(peer, pin) for peer in asked)))
        if holding >= needed:
            return ""
        return f"{holding} of the {needed} members that are to hold it say that they do"

    async def _is_held_by(self, peer: str, pin: Pin) -> bool:
        if peer not in self._calls.peers():
            return False
        try:
            return await self._holds(peer, pin.cid, pin.options.mode is PinMode.RECURSIVE)
        except (CallFailed, PeerOffline):
            return False
