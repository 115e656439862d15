"""IPNS records from the other members, and for them: the call `names/get`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from blockstore.common.guard import Guard
from cluster.common.methods import NAMES_GET, serve
from cluster.interfaces import Membership
from cluster.ports import CallFailed, PeerCalls, PeerOffline
from node.names.errors import BadRecord
from node.names.ipns_record import IpnsRecord, verify
from node.names.name import IpnsName

_ASKED = 8  # members at a time
_SECONDS = 3.0


class MemberRouting:
    """Request: the name's multihash. Response: the record's bytes, none where there is no valid one."""

    def __init__(self, calls: PeerCalls, members: Membership, now: Callable[[], float], guard: Guard) -> None:
        self._calls = calls
        self._members = members
        self._now = now
        self._guard = guard

    def serve(self, find: Callable[[IpnsName], Awaitable[IpnsRecord | None]]) -> None:
        """Answer members from this node's own store."""

        async def answer(peer: str, request: bytes) -> bytes:
            record = await find(IpnsName(request))
            return record.raw if record is not None else b""

        serve(self._calls, self._members, NAMES_GET, answer)

    async def find(self, name: IpnsName) -> list[IpnsRecord]:
        """Valid records of some connected members, each verified here."""
        peers = sorted(self._calls.peers())[:_ASKED]
        answers = await asyncio.gather(*(self._ask(peer, name) for peer in peers))
        return [record for record in answers if record is not None]

    async def _ask(self, peer: str, name: IpnsName) -> IpnsRecord | None:
        """None of one that fails: another member may have a good one."""
        found: list[IpnsRecord] = []
        with self._guard.around("a record asked of", peer, CallFailed, PeerOffline, BadRecord):
            data = await self._calls.call(peer, NAMES_GET.name, name.multihash, timeout=_SECONDS)
            if data:
                found.append(verify(name, data, self._now()))
        return found[0] if found else None
