"""What members ask each other of nodes and pins: who may call each method, and both ends of every call.

| method | request | answer | who may call |
|---|---|---|---|
| node/id | – | NodeInfo | members |
| pins/holds | cid, recursive | whether the block, or all of the DAG, is here | members |
| pins/status | cid | PinInfo | members |
| pins/statuses | wanted statuses, after, limit | StatusPage | members |
| pins/recover | cid | PinInfo after the retry | trusted members |
| pins/recover-all | after, limit | StatusPage of what is tried again | trusted members |

The methods by which pinset and member list are replicated (`pinset/…`) stand where they are answered
(`catchup.py`, `repair.py`, `joining.py`); `names/get`, for IPNS records, is the node's. Who is no member may
call `pinset/join` and `pinset/members` alone (docs/decisions/0006-membership.md).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from blockstore.cid import CID
from cluster.calls.codec import (
    MAX_REQUEST,
    NodeInfo,
    decode_cid,
    decode_info,
    decode_node,
    decode_page,
    decode_statuses,
    encode_info,
    encode_node,
    encode_page,
)
from cluster.common.wire import Fields, encode
from cluster.errors import BadUpdate, UntrustedPeer
from cluster.interfaces import Member, Membership
from cluster.pin import PinInfo, Status
from cluster.ports import CallFailed, CallHandler, PeerCalls
from cluster.tracking.status import StatusPage
from cluster.tracking.tracker import MAX_PAGE, Tracker

T = TypeVar("T")

Handler = Callable[[Fields], Awaitable[bytes]]


class Access(Enum):
    MEMBER = "members"
    TRUSTED = "trusted members"


@dataclass(frozen=True, slots=True)
class Method:
    name: str
    access: Access


ID = Method("node/id", Access.MEMBER)
HOLDS = Method("pins/holds", Access.MEMBER)
STATUS = Method("pins/status", Access.MEMBER)
STATUSES = Method("pins/statuses", Access.MEMBER)
RECOVER = Method("pins/recover", Access.TRUSTED)
RECOVER_ALL = Method("pins/recover-all", Access.TRUSTED)


def serve_calls(
    calls: PeerCalls, membership: Membership, tracker: Tracker, describe: Callable[[], NodeInfo]
) -> None:
    """Answer every method of the table."""

    async def node_id(request: Fields) -> bytes:
        return encode_node(describe())

    async def holds(request: Fields) -> bytes:
        recursive = bool(request.integer("recursive", 0, high=1))
        return encode({"holds": int(await tracker.holds(_cid(request), recursive))})

    async def status(request: Fields) -> bytes:
        return encode_info(await tracker.status(_cid(request)))

    async def statuses(request: Fields) -> bytes:
        wanted = decode_statuses(request, "wanted")
        return encode_page(await tracker.page(wanted, _after(request), _limit(request)))

    async def recover(request: Fields) -> bytes:
        return encode_info(await tracker.recover(_cid(request)))

    async def recover_all(request: Fields) -> bytes:
        return encode_page(await tracker.recover_page(_after(request), _limit(request)))

    table: dict[Method, Handler] = {
        ID: node_id,
        HOLDS: holds,
        STATUS: status,
        STATUSES: statuses,
        RECOVER: recover,
        RECOVER_ALL: recover_all,
    }
    for method, handler in table.items():
        calls.serve(method.name, guarded(method, membership, handler))


def guarded(method: Method, membership: Membership, handler: Handler) -> CallHandler:
    """The handler behind the table's access rule and the bound on requests."""

    async def handle(peer: str, request: bytes) -> bytes:
        if not _may_call(peer, method.access, membership):
            raise UntrustedPeer(
                f"{method.name} is for {method.access.value} of this cluster; {peer} is not one"
            )
        return await handler(Fields.decode(request, MAX_REQUEST))

    return handle


def _may_call(peer: str, access: Access, membership: Membership) -> bool:
    if access is Access.MEMBER:
        return any(member.peer == peer for member in membership.members())
    return membership.is_trusted(peer)


class MemberClient:
    """The other end. Every method raises PeerOffline, or CallFailed, also for an answer nobody can read."""

    def __init__(self, calls: PeerCalls, timeout: float) -> None:
        self._calls = calls
        self._timeout = timeout

    async def describe(self, peer: str) -> NodeInfo:
        return await self._ask(peer, ID, {}, lambda answer: decode_node(peer, answer))

    async def holds(self, peer: str, cid: CID, recursive: bool) -> bool:
        request: dict[str, object] = {"cid": bytes(cid), "recursive": int(recursive)}
        return await self._ask(
            peer, HOLDS, request, lambda answer: _truth(Fields.decode(answer, MAX_REQUEST))
        )

    async def status(self, member: Member, cid: CID) -> PinInfo:
        return await self._info(member, STATUS, cid)

    async def recover(self, member: Member, cid: CID) -> PinInfo:
        return await self._info(member, RECOVER, cid)

    async def page(self, member: Member, wanted: frozenset[Status], after: CID | None) -> StatusPage:
        return await self._page(member, STATUSES, {"wanted": [status.value for status in wanted]}, after)

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

    async def _ask(
        self, peer: str, method: Method, request: dict[str, object], read: Callable[[bytes], T]
    ) -> T:
        answer = await self._calls.call(peer, method.name, encode(request), self._timeout)
        try:
            return read(answer)
        except BadUpdate as error:
            raise CallFailed(f"answered what nobody can read: {error}") from None


def _cid(request: Fields) -> CID:
    return decode_cid(request.data("cid", 512))


def _after(request: Fields) -> CID | None:
    data = request.data("after", 512, b"")
    return decode_cid(data) if data else None


def _limit(request: Fields) -> int:
    return request.integer("limit", MAX_PAGE, low=1, high=MAX_PAGE)


def _truth(fields: Fields) -> bool:
    return bool(fields.integer("holds", high=1))
