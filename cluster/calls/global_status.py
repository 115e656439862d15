"""What all members together say of pins (upstream's GlobalPinInfo): a k-way merge of their answers, by CID.

A member that does not answer is shown as `cluster_error`, with the reason, on the pins that it is to hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from functools import partial

from blockstore.cid import CID
from cluster.calls.client import MemberClient, MethodMissing
from cluster.calls.codec import MAX_TOGETHER
from cluster.calls.global_page import GlobalPage
from cluster.calls.merged_rows import MergedRows
from cluster.calls.status_pages import Columns, StatusPages, remote_columns
from cluster.context import ClusterContext
from cluster.interfaces import Member, Role
from cluster.pin import GlobalPinInfo, Pin, PinInfo, Status
from cluster.ports import CallFailed, PeerOffline
from cluster.tracking.status import EVERY_STATUS, StatusPage
from cluster.tracking.tracker import Tracker

_TOGETHER = 16  # CIDs that a member of the release before is asked about at the same time

Ask = Callable[[Member], Awaitable[PinInfo]]


class GlobalStatus:
    """Asks the tracker here and those of the other members; with `local`, the one here alone."""

    def __init__(self, context: ClusterContext, tracking: Tracker, remote: MemberClient) -> None:
        self._context = context
        self._pinset = context.pinset
        self._tracking = tracking
        self._remote = remote
        self._merged = MergedRows(context.pinset, self._failure)

    async def one(self, cid: CID, local: bool = False) -> GlobalPinInfo:
        """Of a CID that is not pinned as well (`unpinned`).

        Members that are not to hold it are `remote` without being asked.
        """

        async def ask(member: Member) -> PinInfo:
            if self._is_us(member):
                return await self._tracking.status(cid)
            return await self._remote.status(member, cid)

        return await self._gather(cid, ask, local)

    async def recover(self, cid: CID, local: bool = False) -> GlobalPinInfo:
        """Try again where it failed or went missing; the statuses after that. Raises QueueFull."""

        async def ask(member: Member) -> PinInfo:
            if self._is_us(member):
                return await self._tracking.recover(cid)
            return await self._remote.recover(member, cid)

        return await self._gather(cid, ask, local)

    async def of(self, cids: Sequence[CID], local: bool = False) -> AsyncIterator[GlobalPinInfo]:
        """Just those, in the order given, whatever their statuses."""
        members = self._members(local)
        for start in range(0, len(cids), MAX_TOGETHER):
            together = cids[start : start + MAX_TOGETHER]
            pins = await self._pinset.get_many(together)
            told = await asyncio.gather(*(self._told(member, together, pins) for member in members))
            for cid, pin, infos in zip(together, pins, zip(*told, strict=True), strict=True):
                yield GlobalPinInfo(cid, pin, {info.peer: info for info in infos})

    def all(
        self, wanted: frozenset[Status] = EVERY_STATUS, local: bool = False
    ) -> AsyncIterator[GlobalPinInfo]:
        """CIDs that some member has in one of the wanted statuses, in order; only those members are shown."""

        async def ask(member: Member, after: CID | None) -> StatusPage:
            if self._is_us(member):
                return await self._tracking.page(wanted, after)
            return await self._remote.page(member, wanted, after)

        return self._merged.of(self._members(local), ask, Status.CLUSTER_ERROR in wanted)

    def pages(self, wanted: frozenset[Status], local: bool = False) -> AsyncGenerator[GlobalPage]:
        """As `all`, for statuses that are listed by a walk over the pinset: most of its lines at once."""
        ask = {member: self._columns(member, wanted) for member in self._members(local)}
        return StatusPages(self._pinset, ask, self._failure, Status.CLUSTER_ERROR in wanted).pages()

    def _columns(self, member: Member, wanted: frozenset[Status]) -> Columns:
        if self._is_us(member):
            return lambda keys: self._tracking.columns(wanted, keys)
        return remote_columns(self._remote, member, wanted)

    def _failure(self, member: Member, error: Exception) -> PinInfo:
        return self._info(member, Status.CLUSTER_ERROR, None, _reason(error))

    def recover_all(self, local: bool = False) -> AsyncIterator[GlobalPinInfo]:
        """Try again what failed or went missing, as far as members have room; what that is, in order."""

        async def ask(member: Member, after: CID | None) -> StatusPage:
            if self._is_us(member):
                return await self._tracking.recover_page(after)
            return await self._remote.recover_page(member, after)

        return self._merged.of(self._members(local), ask, False)

    async def _gather(self, cid: CID, ask: Ask, local: bool) -> GlobalPinInfo:
        pin = await self._pinset.get(cid)
        members = self._members(local)
        infos = await asyncio.gather(*(self._one(member, pin, ask) for member in members))
        return GlobalPinInfo(cid, pin, {info.peer: info for info in infos})

    async def _one(self, member: Member, pin: Pin | None, ask: Ask) -> PinInfo:
        if pin is not None and not pin.held_by(member.peer) and not self._is_us(member):
            return self._info(member, Status.REMOTE, pin)
        try:
            return await ask(member)
        except (CallFailed, PeerOffline) as error:
            return self._info(member, Status.CLUSTER_ERROR, pin, _reason(error))

    async def _told(self, member: Member, cids: Sequence[CID], pins: Sequence[Pin | None]) -> list[PinInfo]:
        """What it says of each; of those that it is not to hold, another one is not asked."""
        pairs = list(zip(cids, pins, strict=True))
        us = self._is_us(member)
        asked = [cid for cid, pin in pairs if us or pin is None or pin.held_by(member.peer)]
        try:
            answers = await (self._tracking.status_of(asked) if us else self._ask_of(member, asked))
        except MethodMissing:
            return await self._told_singly(member, pairs)
        except (CallFailed, PeerOffline) as error:
            reason = _reason(error)
            answers = [self._info(member, Status.CLUSTER_ERROR, None, reason)] * len(asked)
        said = dict(zip(asked, answers, strict=True))
        return [said.get(cid) or self._info(member, Status.REMOTE, pin) for cid, pin in pairs]

    async def _ask_of(self, member: Member, cids: Sequence[CID]) -> list[PinInfo]:
        return await self._remote.status_of(member, cids) if cids else []

    async def _told_singly(self, member: Member, pairs: Sequence[tuple[CID, Pin | None]]) -> list[PinInfo]:
        """By a member of the release before."""
        told: list[PinInfo] = []
        for start in range(0, len(pairs), _TOGETHER):
            asked = (
                self._one(member, pin, partial(self._remote.status, cid=cid))
                for cid, pin in pairs[start : start + _TOGETHER]
            )
            told += await asyncio.gather(*asked)
        return told

    def _members(self, local: bool) -> list[Member]:
        """Those to ask. One that was removed is not shown: its pins are on their way to others."""
        members = self._context.members.members()
        if not local:
            return list(members)
        us = Member(self._context.peer, "", Role.FOLLOWER)
        return [next((member for member in members if self._is_us(member)), us)]

    def _is_us(self, member: Member) -> bool:
        return member.peer == self._context.peer

    def _info(self, member: Member, status: Status, pin: Pin | None, error: str = "") -> PinInfo:
        since = pin.created if pin is not None and status is Status.REMOTE else self._context.now()
        return PinInfo(member.peer, member.name, status, since, error)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
