"""Records that were published while this node was away: each member that appears is asked for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from blockstore.common.guard import Guard
from cluster.errors import BadUpdate
from cluster.ports import CallFailed, PeerOffline
from node.names.errors import TooManyNames
from node.names.member_routing import MAX_NAMES, MemberRouting
from node.names.name import IpnsName
from node.names.publishing import Publishing

_MAX_PAGES = 200  # of one member's list
_PAUSE = 600.0  # seconds without an occasion, after which every member is asked
_QUEUED = 1000  # members that appeared and were not asked yet


class MemberSync:
    """Asks one member after the other; one that is queued already is asked once."""

    def __init__(
        self, members: MemberRouting, own: Publishing, trusts: Callable[[str], bool], guard: Guard
    ) -> None:
        """Only what those members list counts that `trusts` takes."""
        self._members = members
        self._own = own
        self._trusts = trusts
        self._guard = guard
        self._waiting: dict[str, None] = {}
        self._occasion = asyncio.Event()

    def appeared(self, peer: str) -> None:
        """That peer is to be asked soon."""
        if len(self._waiting) < _QUEUED:
            self._waiting[peer] = None
            self._occasion.set()

    async def turn(self) -> None:
        """Wait for a member to ask, and ask it; every one is asked now and then."""
        try:
            await asyncio.wait_for(self._occasion.wait(), _PAUSE)
        except TimeoutError:
            for peer in self._members.connected():
                self.appeared(peer)
            return
        peer = next(iter(self._waiting))
        del self._waiting[peer]
        if not self._waiting:
            self._occasion.clear()
        if self._trusts(peer):
            with self._guard.around(
                "published names asked of", peer, CallFailed, PeerOffline, BadUpdate, TooManyNames
            ):
                await self._pull(peer)

    async def _pull(self, peer: str) -> None:
        after: IpnsName | None = None
        for _ in range(_MAX_PAGES):
            listed = await self._members.names_of(peer, after)
            for name in await self._own.older_here(listed):
                if (record := await self._members.ask(peer, name)) is not None:
                    await self._own.take(name, record.raw)
            if len(listed) < MAX_NAMES:
                return
            after = listed[-1].name
