"""Answers to what members ask of this node and its pins, each behind the guard of the table of methods."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from blockstore.cid import CID
from cluster.calls.codec import (
    MAX_REQUEST,
    MAX_TOGETHER,
    decode_cid,
    decode_copies,
    decode_statuses,
    encode_held,
    encode_info,
    encode_infos,
    encode_node,
    encode_page,
)
from cluster.calls.columns_codec import MAX_KEY, encode_columns
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
    serve,
)
from cluster.common.wire import Fields, encode
from cluster.context import ClusterContext
from cluster.pin import KeyRange
from cluster.ports import CallHandler
from cluster.tracking.tracker import MAX_PAGE, Tracker

_Answer = Callable[[Fields], Awaitable[bytes]]


def serve_calls(context: ClusterContext, tracking: Tracker, describe: Callable[[], NodeInfo]) -> None:
    """Answer the methods of nodes and pins. `describe` gives what this node says of itself."""
    for method, answer in _answers(tracking, describe).items():
        serve(context.calls, context.members, method, _decoded(answer))


def _answers(tracking: Tracker, describe: Callable[[], NodeInfo]) -> Mapping[Method, _Answer]:
    async def node_id(request: Fields) -> bytes:
        return encode_node(describe())

    async def holds(request: Fields) -> bytes:
        recursive = bool(request.integer("recursive", 0, high=1))
        return encode({"holds": int(await tracking.holds(_cid(request), recursive))})

    async def status(request: Fields) -> bytes:
        return encode_info(await tracking.status(_cid(request)))

    async def status_of(request: Fields) -> bytes:
        cids = list(map(decode_cid, request.datas("cids", MAX_TOGETHER)))
        return encode_infos(await tracking.status_of(cids))

    async def statuses(request: Fields) -> bytes:
        wanted = decode_statuses(request, "wanted")
        return encode_page(await tracking.page(wanted, _after(request), _limit(request)))

    async def columns(request: Fields) -> bytes:
        wanted = decode_statuses(request, "wanted")
        keys = KeyRange(request.data("after", MAX_KEY, b""), request.data("until", MAX_KEY))
        return encode_columns(await tracking.columns(wanted, keys, _limit(request)))

    async def lease(request: Fields) -> bytes:
        return encode_held(await tracking.lease(decode_copies(request)))

    async def recover(request: Fields) -> bytes:
        return encode_info(await tracking.recover(_cid(request)))

    async def recover_all(request: Fields) -> bytes:
        return encode_page(await tracking.recover_page(_after(request), _limit(request)))

    return {
        ID: node_id,
        HOLDS: holds,
        STATUS: status,
        STATUS_OF: status_of,
        STATUSES: statuses,
        COLUMNS: columns,
        LEASE: lease,
        RECOVER: recover,
        RECOVER_ALL: recover_all,
    }


def _decoded(answer: _Answer) -> CallHandler:
    """A request is one map of at most MAX_REQUEST bytes."""

    async def handle(peer: str, request: bytes) -> bytes:
        return await answer(Fields.decode(request, MAX_REQUEST))

    return handle


def _cid(request: Fields) -> CID:
    return decode_cid(request.data("cid", 512))


def _after(request: Fields) -> CID | None:
    data = request.data("after", 512, b"")
    return decode_cid(data) if data else None


def _limit(request: Fields) -> int:
    return request.integer("limit", MAX_PAGE, low=1, high=MAX_PAGE)
