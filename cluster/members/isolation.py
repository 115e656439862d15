"""Notices when no other member can be reached: where they are now, only a user can know."""

from __future__ import annotations

import asyncio
import logging

from blockstore.common.guard import Guard
from cluster.common.loops import steadily
from cluster.interfaces import Member, Membership
from cluster.ports import PeerCalls

LOOK_INTERVAL = 1.0  # seconds between looks; one without news costs nothing
ISOLATED_AFTER = 15.0  # seconds without any other member until the log says what can be done
_NAMED = 5  # members that the log line names
_log = logging.getLogger(__name__)


class IsolationWatch:
    """Warns once each time that all other members are lost."""

    def __init__(self, peer: str, members: Membership, calls: PeerCalls, guard: Guard) -> None:
        self._peer = peer
        self._members = members
        self._calls = calls
        self._guard = guard
        self._since: float | None = None  # when the last other member was lost
        self._warned = False

    async def run(self) -> None:
        await steadily(self._guard, "looking for other members", "the network", self._look)

    async def _look(self) -> None:
        others = [member for member in self._members.members() if member.peer != self._peer]
        if self._is_isolated(others):
            self._warn_in_time(others, asyncio.get_running_loop().time())
        else:
            self._since, self._warned = None, False
        await asyncio.sleep(LOOK_INTERVAL)

    def _is_isolated(self, others: list[Member]) -> bool:
        if not others or self._peer in self._members.removed():
            return False
        return not self._calls.peers() & {member.peer for member in others}

    def _warn_in_time(self, others: list[Member], now: float) -> None:
        self._since = now if self._since is None else self._since
        if self._warned or now - self._since < ISOLATED_AFTER:
            return
        self._warned = True
        names = ", ".join(member.name or member.peer for member in others[:_NAMED])
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        _log.warning(
            "no other member of this cluster is where it was last seen (%s%s). Are they up? If they have"
            " moved, say once where one of them is now: pinfold cluster connect ADDRESS, with one of"
            " the cluster's addresses that `pinfold id` prints on that machine",
            names,
            more,
        )
