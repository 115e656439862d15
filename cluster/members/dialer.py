"""Members stay connected: whoever is listed and not connected is dialled where it said it is."""

from __future__ import annotations

import asyncio
import logging

from blockstore.common.guard import Guard
from cluster.common.loops import steadily
from cluster.interfaces import Member, Membership
from cluster.ports import PeerCalls, PeerOffline

LOOK_INTERVAL = 1.0  # seconds between looks at the member list; a look without news costs nothing
ALONE_AFTER = 15.0  # seconds without any other member until the log says what can be done
_LONGEST_PAUSE = 64.0  # seconds between attempts at one member
_AT_ONCE = 16  # members dialled at the same time
_NAMED = 5  # members that the log line names
_logger = logging.getLogger(__name__)


class MemberDialer:
    """Dials members that are not connected, each with its own back-off."""

    def __init__(self, peer: str, membership: Membership, calls: PeerCalls, guard: Guard) -> None:
        self._peer = peer
        self._membership = membership
        self._calls = calls
        self._guard = guard
        self._next: dict[str, tuple[float, float]] = {}  # member -> (when to try again, the pause after that)
        self._alone: float | None = None  # since when no other member is connected
        self._told = False

    async def run(self) -> None:
        await steadily(self._guard, "meeting", "members", self._look)

    async def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        missing = self.missing(now)[:_AT_ONCE]
        await asyncio.gather(*(self._meet(member, now) for member in missing))
        self._notice_loneliness(asyncio.get_running_loop().time())
        await asyncio.sleep(LOOK_INTERVAL)

    def missing(self, now: float) -> list[Member]:
        """Members to dial now: not connected, with an address, and not tried a moment ago.

        None once we are no member any more: nobody would speak with us.
        """
        connected = self._calls.peers()
        self._next = {peer: wait for peer, wait in self._next.items() if peer not in connected}
        if self._peer in self._membership.removed():
            return []
        return [
            member
            for member in self._others()
            if member.peer not in connected
            and member.addresses
            and self._next.get(member.peer, (0.0, 0.0))[0] <= now
        ]

    async def _meet(self, member: Member, now: float) -> None:
        _, pause = self._next.get(member.peer, (0.0, LOOK_INTERVAL))
        self._next[member.peer] = now + pause, min(2 * pause, _LONGEST_PAUSE)
        for address in member.addresses:
            with self._guard.around(f"dialling {address} of", member.peer):
                try:
                    await self._calls.connect(address)
                except PeerOffline as error:
                    _logger.debug(
                        "%s of the cluster is not at %s: %s", member.name or member.peer, address, error
                    )
                else:
                    return

    def _others(self) -> list[Member]:
        return [member for member in self._membership.members() if member.peer != self._peer]

    def _notice_loneliness(self, now: float) -> None:
        """Where every other member is out of reach, only a user can know where they are."""
        others = self._others()
        if (
            not others
            or self._calls.peers() & {one.peer for one in others}
            or self._peer in self._membership.removed()
        ):
            self._alone, self._told = None, False
            return
        self._alone = now if self._alone is None else self._alone
        if now - self._alone >= ALONE_AFTER and not self._told:
            self._told = True
            names = ", ".join(one.name or one.peer for one in others[:_NAMED])
            more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
            _logger.warning(
                "no other member of this cluster is where it was last seen (%s%s). Are they up? If they have"
                " moved, say once where one of them is now: pinfold cluster connect ADDRESS, with one of"
                " the cluster's addresses that `pinfold id` prints on that machine",
                names,
                more,
            )
