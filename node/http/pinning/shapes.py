"""PinStatus, PinResults and Failure, as the specification has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from aiohttp import web

from node.http.go import gojson
from node.http.go.gojson import Json
from node.pinning.pin_request import ToldRequest, ToldRequests

_JSON = {"Content-Type": "application/json"}
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def answer(value: Json, status: int = 200) -> web.Response:
    return web.Response(status=status, body=gojson.encode(value), headers=_JSON)


def error(status: int, details: str) -> web.Response:
    """Failure: the reason is for machines, the details are for people."""
    return answer({"error": {"reason": HTTPStatus(status).name, "details": details}}, status)


def told(one: ToldRequest) -> Json:
    """PinStatus."""
    request, wanted = one.request, one.request.wanted
    pin: dict[str, Json] = {
        "cid": str(wanted.cid),
        **({"name": wanted.name} if wanted.name else {}),
        **({"origins": list(wanted.origins)} if wanted.origins else {}),
        **({"meta": dict(wanted.meta)} if wanted.meta else {}),
    }
    return {
        "requestid": request.id,
        "status": one.status.value,
        "created": _time(request.created),
        "pin": pin,
        "delegates": list(one.delegates),
        **({"info": {"status_details": one.details}} if one.details else {}),
    }


def listed(found: ToldRequests) -> Json:
    """PinResults."""
    return {"count": found.count, "results": [told(one) for one in found.told]}


def _time(milliseconds: int) -> str:
    """RFC 3339 with all three digits, which `before` and `after` take again."""
    when = _BEGINNING + timedelta(milliseconds=milliseconds)
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"
