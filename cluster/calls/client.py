"""What this member asks others of their nodes and pins (the methods: `cluster/common/methods.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from blockstore.cid import CID
from cluster.calls.codec import (
    MAX_REQUEST,
    decode_held,
    decode_info,
    decode_infos,
    decode_node,
    decode_page,
    encode_copies,
)
from cluster.calls.columns_codec import decode_columns
from cluster.calls.node_info import NodeInfo
from cluster.common.methods import (
    COLUMNS,
    HOLDS,
    ID,
    LEASE,
    RECOVER,
    RECOVER_ALL,
    STATUS,
    STATUS_OF,
    STATUSES,
    Method,
)
from cluster.common.wire import Fields, encode
from cluster.errors import BadUpdate
from cluster.interfaces import Member
from cluster.pin import KeyRange, PinInfo, Status
from cluster.ports import CallFailed, PeerCalls, no_method
from cluster.tracking.leases import Copy
from cluster.tracking.status import StatusPage
from cluster.tracking.status_columns import StatusColumns
from cluster.tracking.tracker import MAX_PAGE

T = TypeVar("T")


class MethodMissing(CallFailed):
    """The member is of an older release, which has another call for that."""


class MemberClient:
    """Each method raises PeerOffline, or CallFailed, also for an answer that cannot be read."""

    def __init__(self, calls: PeerCalls, timeout: float) -> None:
        """`timeout`: seconds for each call."""
        self._calls = calls
        self._timeout = timeout

    async def describe(self, peer: str) -> NodeInfo:
        return await self._ask(peer, ID, {}, lambda answer: decode_node(peer, answer))

    async def holds(self, peer: str, cid: CID, recursive: bool) -> bool:
        request: dict[str, object] = {"cid": bytes(cid), "recursive": int(recursive)}
        return await self._ask(peer, HOLDS, request, _held)

    async def lease(self, peer: str, copies: Sequence[Copy]) -> Sequence[bool]:
        """Of at most MAX_TOGETHER: which are there, and stay for `leases.LEASE` seconds."""
        answer = await self._calls.call(peer, LEASE.name, encode_copies(copies), self._timeout)
        return self._read(answer, lambda data: decode_held(data, len(copies)))

    async def status(self, member: Member, cid: CID) -> PinInfo:
        return await self._info(member, STATUS, cid)

    async def status_of(self, member: Member, cids: Sequence[CID]) -> list[PinInfo]:
        """Of at most MAX_TOGETHER. Also raises MethodMissing."""
        return await self._newer(
            member,
            STATUS_OF,
            {"cids": [bytes(cid) for cid in cids]},
            lambda answer: decode_infos(member.peer, member.name, answer, len(cids)),
        )

    async def recover(self, member: Member, cid: CID) -> PinInfo:
        return await self._info(member, RECOVER, cid)

    async def page(self, member: Member, wanted: frozenset[Status], after: CID | None) -> StatusPage:
        return await self._page(member, STATUSES, {"wanted": [status.value for status in wanted]}, after)

    async def columns(
        self, member: Member, wanted: frozenset[Status], keys: KeyRange, limit: int
    ) -> StatusColumns:
        """Also raises MethodMissing."""
        request: dict[str, object] = {
            "wanted": [status.value for status in wanted],
            "after": keys.after,
            "until": keys.until,
            "limit": limit,
        }
        return await self._newer(
            member,
            COLUMNS,
            request,
            lambda answer: decode_columns(member.peer, member.name, answer, keys, limit),
        )

    async def recover_page(self, member: Member, after: CID | None) -> StatusPage:
        return await self._page(member, RECOVER_ALL, {}, after)

    async def _info(self, member: Member, method: Method, cid: CID) -> PinInfo:
        return await self._ask(
            member.peer,
            method,
            {"cid": bytes(cid)},
            lambda answer: decode_info(member.peer, member.name, answer),
        )

    async def _page(
        self, member: Member, method: Method, request: dict[str, object], after: CID | None
    ) -> StatusPage:
        return await self._ask(
            member.peer,
            method,
            {**request, "after": bytes(after) if after else b"", "limit": MAX_PAGE},
            lambda answer: decode_page(member.peer, member.name, answer, after, MAX_PAGE),
        )

    async def _newer(
        self, member: Member, method: Method, request: dict[str, object], read: Callable[[bytes], T]
    ) -> T:
        """Of a method that members of the release before do not serve: MethodMissing says that of one."""
        try:
            return await self._ask(member.peer, method, request, read)
        except CallFailed as error:
            if str(error) == no_method(method.name):
                raise MethodMissing(str(error)) from None
            raise

    async def _ask(
        self, peer: str, method: Method, request: dict[str, object], read: Callable[[bytes], T]
    ) -> T:
        return self._read(await self._calls.call(peer, method.name, encode(request), self._timeout), read)

    @staticmethod
    def _read(answer: bytes, read: Callable[[bytes], T]) -> T:
        try:
            return read(answer)
        except BadUpdate as error:
            raise CallFailed(f"answered what cannot be read: {error}") from None


def _held(answer: bytes) -> bool:
    return bool(Fields.decode(answer, MAX_REQUEST).integer("holds", high=1))
