"""This node's own standing in the cluster: whether it is a member, what makes it one, and why it is none."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from blockstore.common.backoff import Backoff
from blockstore.common.guard import Guard
from cluster.common.local_member import LocalMember
from cluster.errors import BadInvite, ReadOnlyMember
from cluster.interfaces import Role
from cluster.members.invite import Invite
from cluster.members.join import join
from cluster.members.member_list import MemberList
from cluster.members.member_table import Removal
from cluster.ports import PeerCalls

_log = logging.getLogger(__name__)


class Standing:
    """Follows the member list. A node that was removed has it said in its log, once."""

    def __init__(self, local: LocalMember, members: MemberList, calls: PeerCalls, guard: Guard) -> None:
        self.join_problem = ""
        """Why the join token did not let this node in; empty while that is tried, and once it is in."""
        self.joined = asyncio.Event()
        """Set once this node is a member; the invitation that it came with is of no use from then on."""
        self._local = local
        self._members = members
        self._calls = calls
        self._guard = guard
        self._pauses = Backoff(1.0, 60.0, draw=local.chance.random)
        members.on_records(self._on_records)

    @property
    def problem(self) -> str:
        """Why this node is no member, for its user; empty when it is one."""
        us = self._local.peer
        if self._members.is_member(us):
            return ""
        if (removal := self._members.removal(us)) is not None and not self.join_problem:
            return self._removed(removal)
        reason = self.join_problem or "no member that could let it in has answered yet"
        return f"this node is not a member of the cluster: {reason}"

    def check_writable(self) -> None:
        """Raises ReadOnlyMember where this node may not change the pinset."""
        role = self._members.role(self._local.peer)
        if role is Role.FOLLOWER:
            raise ReadOnlyMember(
                "this node follows the cluster and cannot change pins: do that at a trusted member"
            )
        if role is None:
            raise ReadOnlyMember(self.problem)

    async def establish(self, name: str, invite: Invite | None, bulk: Sequence[str] = ()) -> None:
        """Announce to the members who and where this node is; join with the invitation where it is none.

        `bulk`: the addresses where it offers blocks in bulk.
        """
        await self._until_done("announcing this node to the members", lambda: self._announce(name, bulk))
        if self.problem and invite is not None:
            await self._until_done("joining", lambda: self._join(invite))
        elif self.problem:
            _log.error("%s", self.problem)
        if not self.problem:
            self.joined.set()

    async def _announce(self, name: str, bulk: Sequence[str]) -> None:
        await self._members.announce(name, self._calls.addresses(self._local.peer), bulk)

    async def _join(self, invite: Invite) -> None:
        try:
            await join(invite, self._local, self._members, self._calls)
        except BadInvite as error:
            self.join_problem = str(error)
            _log.error("%s", error)

    async def _until_done(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do it once; again, with growing pauses, where the disk is full or something unforeseen fails."""
        for pause in self._pauses:
            with self._guard.around(what, "the cluster"):
                try:
                    await work()
                except OSError as error:
                    _log.warning("%s: not now: %s", what, error)
                else:
                    return
            await asyncio.sleep(pause)

    def _on_records(self, _records: Sequence[bytes]) -> None:
        removal = self._members.removal(self._local.peer)
        if removal is not None and self.joined.is_set():
            self.joined.clear()
            _log.error("%s", self._removed(removal))
        elif removal is None and not self.problem:
            self.joined.set()

    def _removed(self, removal: Removal) -> str:
        by = self._members.name(removal.by)
        day = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(removal.at))
        return (
            f"this node was removed from the cluster by {by or removal.by} on {day}: what it holds stays,"
            " and nothing is shared any more. To have it back: `pinfold cluster invite` at a member, then"
            " `pinfold init --join TOKEN` here"
        )
