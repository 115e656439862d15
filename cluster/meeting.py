"""Members stay connected: whoever is listed and not connected is dialled where it said it is."""

from __future__ import annotations

import asyncio
import logging

from cluster.ports import PeerCalls, PeerOffline
from cluster.state import Member, Membership

LOOK_INTERVAL = 1.0  # seconds between looks at the member list; a look without news costs nothing
_LONGEST_PAUSE = 64.0  # seconds between attempts at one member
_logger = logging.getLogger(__name__)


class Meeting:
    """Dials members that are not connected, each with its own back-off."""

    def __init__(self, peer: str, membership: Membership, calls: PeerCalls) -> None:
        self._peer = peer
        self._membership = membership
        self._calls = calls
        self._next: dict[str, tuple[float, float]] = {}  # member -> (when to try again, the pause after that)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            missing = self.missing(loop.time())
            await asyncio.gather(*(self._meet(member, loop.time()) for member in missing))
            await asyncio.sleep(LOOK_INTERVAL)

    def missing(self, now: float) -> list[Member]:
        """Members to dial now: not connected, with an address, and not tried a moment ago."""
        connected = self._calls.peers()
        self._next = {peer: wait for peer, wait in self._next.items() if peer not in connected}
        return [
            member
            for member in self._membership.members()
            if member.peer not in connected
            and member.peer != self._peer
            and member.addresses
            and self._next.get(member.peer, (0.0, 0.0))[0] <= now
        ]

    async def _meet(self, member: Member, now: float) -> None:
        _, pause = self._next.get(member.peer, (0.0, LOOK_INTERVAL))
        self._next[member.peer] = now + pause, min(2 * pause, _LONGEST_PAUSE)
        for address in member.addresses:
            try:
                await self._calls.connect(address)
            except PeerOffline as error:
                _logger.info("%s of the cluster is not at %s: %s", member.name or member.peer, address, error)
            else:
                return
