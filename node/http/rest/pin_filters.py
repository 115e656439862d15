"""Which pins a request asks for: the parameters of GET /v1/pins and /v1/pins/count as a PinQuery."""

from __future__ import annotations

from dataclasses import dataclass

from multidict import MultiMapping

from cluster.common.wire import MAX_TEXT
from cluster.interfaces import PinOrder, PinQuery
from cluster.pin import Status
from node.http.errors import BadRequest
from node.http.go import query_values
from node.http.go.durations import parse_time
from node.http.rest.status_filter import status_filter

MAX_LIMIT = 10_000
_META = "meta-"
FILTERS = frozenset(
    (
        *("name", "name-prefix", "name-contains", "has-meta", "held-by", "allocated-to", "status"),
        *("expires-after", "expires-before", "created-after", "created-before"),
    )
)
PAGING = frozenset(("order", "limit", "cursor"))


@dataclass(frozen=True, slots=True)
class PinsAsked:
    """`statuses`: on this node; None: whatever they are. Without a `limit` all are meant."""

    query: PinQuery
    statuses: frozenset[Status] | None
    limit: int | None
    cursor: str | None


def pins_asked(query: MultiMapping[str], *, paging: bool) -> PinsAsked:
    """Raises BadRequest, that of unknown parameters included."""
    _check_names(query, FILTERS | PAGING if paging else FILTERS)
    order = _order(query.get("order", ""))
    statuses = status_filter(query["status"]) if query.get("status") else None
    if statuses is not None and order not in (None, PinOrder.CID):
        raise BadRequest("parameter order invalid: with status, pins come in order of their CIDs")
    return PinsAsked(_pin_query(query, order), statuses, _limit(query), query.get("cursor") or None)


def _check_names(query: MultiMapping[str], known: frozenset[str]) -> None:
    for name in query:
        if name not in known and not (name.startswith(_META) and len(name) > len(_META)):
            raise BadRequest(f'parameter "{name[:64]}" is unknown here: see docs/http.md')
        if len(query[name]) > MAX_TEXT:
            raise BadRequest(f"parameter {name[:64]} invalid: at most {MAX_TEXT} characters")


def _pin_query(query: MultiMapping[str], order: PinOrder | None) -> PinQuery:
    return PinQuery(
        name=query.get("name"),
        name_prefix=query.get("name-prefix", ""),
        name_contains=query.get("name-contains", ""),
        held_by=_peer(query, "held-by"),
        allocated_to=_peer(query, "allocated-to"),
        expires_after=_time(query, "expires-after"),
        expires_before=_time(query, "expires-before"),
        created_after=_second(query, "created-after"),
        created_before=_second(query, "created-before"),
        metadata=tuple((name.removeprefix(_META), query[name]) for name in query if name.startswith(_META)),
        metadata_keys=(query["has-meta"],) if query.get("has-meta") else (),
        order=order,
    )


def _order(text: str) -> PinOrder | None:
    try:
        return PinOrder(text) if text else None
    except ValueError:
        raise BadRequest(f"parameter order invalid: one of {', '.join(PinOrder)}") from None


def _limit(query: MultiMapping[str]) -> int | None:
    if not query.get("limit"):
        return None
    limit = query_values.integer(query, "limit")
    if not 0 < limit <= MAX_LIMIT:
        raise BadRequest(f"parameter limit invalid: 1 to {MAX_LIMIT}")
    return limit


def _peer(query: MultiMapping[str], name: str) -> str | None:
    return query_values.peer_id(query[name]) if query.get(name) else None


def _time(query: MultiMapping[str], name: str) -> float | None:
    if not query.get(name):
        return None
    try:
        return parse_time(query[name])
    except ValueError as error:
        raise BadRequest(f"parameter {name} invalid: {error}") from None


def _second(query: MultiMapping[str], name: str) -> float | None:
    time = _time(query, name)
    return None if time is None else float(int(time))
