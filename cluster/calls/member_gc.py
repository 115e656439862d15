"""Garbage collections on all members, one member after the other (ipfs-cluster's `POST /ipfs/gc`).

A removed block is only missing where no pin needs it, and one member at a time is kept busy by that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from blockstore.cid import CID
from cluster.calls.codec import MAX_ANSWER, decode_cid
from cluster.common.methods import COLLECT, serve
from cluster.common.wire import Fields, encode
from cluster.context import ClusterContext
from cluster.errors import BadUpdate
from cluster.interfaces import Member, Role
from cluster.ports import CallFailed, PeerOffline

MAX_NAMED = 20_000
"""Removed blocks that are named; the others are counted."""

_TIMEOUT = 24 * 3600.0  # seconds, as upstream has it


@dataclass(frozen=True, slots=True)
class Collected:
    """What one member removed: CIDs, how many more, and what kept it from going on."""

    cids: tuple[CID, ...] = ()
    more: int = 0
    error: str = ""


class MemberGc:
    """`collect` removes the garbage of this node; trusted members may ask for it."""

    def __init__(self, context: ClusterContext, collect: Callable[[], Awaitable[Collected]]) -> None:
        self._context = context
        self._collect = collect

        async def answer(peer: str, request: bytes) -> bytes:
            return _encode(await collect())

        serve(context.calls, context.members, COLLECT, answer)

    async def run(self, local: bool = False) -> AsyncIterator[tuple[Member, Collected]]:
        """Each member with what came of it; with `local` this one alone."""
        for member in self._context.members.members():
            if member.peer == self._context.peer or not local:
                yield member, await self._of(member)
        if not self._context.members.is_member(self._context.peer):
            yield Member(self._context.peer, self._context.name, Role.FOLLOWER), await self._collect()

    async def _of(self, member: Member) -> Collected:
        if member.peer == self._context.peer:
            return await self._collect()
        try:
            return _decode(await self._context.calls.call(member.peer, COLLECT.name, b"", _TIMEOUT))
        except (CallFailed, PeerOffline, BadUpdate) as error:
            return Collected(error=str(error) or type(error).__name__)


def _encode(found: Collected) -> bytes:
    return encode({"cids": [bytes(cid) for cid in found.cids], "more": found.more, "error": found.error})


def _decode(answer: bytes) -> Collected:
    fields = Fields.decode(answer, MAX_ANSWER)
    cids = tuple(map(decode_cid, fields.datas("cids", MAX_NAMED)))
    return Collected(cids, fields.integer("more", 0), fields.text("error", ""))
