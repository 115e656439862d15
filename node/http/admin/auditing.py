"""Requests as the audit log has them: who, from where, what, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from blockstore.cid import CID
from node.access.caller import Caller, Proof
from node.access.rights import Right
from node.audit.audit_log import AuditLog
from node.audit.record import MAX_CIDS, AuditRecord
from node.http.admin.callers import CALLER
from node.http.trailers import TrailerResponse

_CIDS = web.RequestKey("cids", list[str])
_COUNT = web.RequestKey("count", int)
_LEFT, _FAILED, _TOO_MANY = 499, 500, 429
_UNKNOWN = Caller(Proof.NONE, Right.NONE)

Respond = Callable[[], Awaitable[web.StreamResponse]]


def note(request: web.Request, cids: Iterable[CID]) -> None:
    """What the request is about, where its path does not say."""
    named = request.setdefault(_CIDS, [])
    for cid in cids:
        request[_COUNT] = request.get(_COUNT, 0) + 1
        if len(named) < MAX_CIDS:
            named.append(str(cid))


async def audited(request: web.Request, log: AuditLog, face: str, respond: Respond) -> web.StreamResponse:
    """The answer, written down before it is given; what is left or fails in the middle, too."""
    status, failed = _LEFT, False
    try:
        response = await respond()
        status = response.status
        failed = isinstance(response, TrailerResponse) and any(response.trailers)
        return response
    except web.HTTPException as error:
        status = error.status
        raise
    except Exception:
        status = _FAILED
        raise
    finally:
        if status != _TOO_MANY:
            log.add(_record(request, face, status, failed))


def _record(request: web.Request, face: str, status: int, failed: bool) -> AuditRecord:
    caller = request.get(CALLER, _UNKNOWN)
    return AuditRecord(
        time=0.0,
        face=face,
        by=caller.proof.value,
        name=caller.name,
        owner=caller.owner,
        address=request.remote or "socket",
        method=request.method,
        path=request.path,
        status=status,
        cids=tuple(request.get(_CIDS, ())),
        count=request.get(_COUNT, 0),
        failed=failed,
    )
