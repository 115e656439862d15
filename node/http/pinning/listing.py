"""The query of GET /pins. A value that is not known is an error, never taken for a default."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from node.http.errors import BadRequest
from node.http.go import query_values
from node.http.go.durations import parse_time
from node.http.go.query_values import Query
from node.http.pinning.bodies import json_object, name_of, texts_of
from node.pinning.pin_request import MAX_LISTED, NameMatch, RequestQuery, RequestStatus

_KNOWN = frozenset(("cid", "name", "match", "status", "before", "after", "limit", "meta"))
_MAX_CIDS = 10  # the specification's
_LIMIT = 10

Word = TypeVar("Word", bound=StrEnum)


def request_query(query: Query, owner: str) -> RequestQuery:
    """Raises BadRequest."""
    if unknown := sorted(query.keys() - _KNOWN):
        raise BadRequest(f'parameter "{unknown[0][:64]}" is unknown: {", ".join(sorted(_KNOWN))}')
    limit = query_values.integer(query, "limit", _LIMIT)
    if not 1 <= limit <= MAX_LISTED:
        raise BadRequest(f"parameter limit invalid: 1 to {MAX_LISTED}")
    cids = query_values.comma_list(query.get("cid", ""))
    if len(cids) > _MAX_CIDS or ("cid" in query and not cids):
        raise BadRequest(f"parameter cid invalid: 1 to {_MAX_CIDS} CIDs with commas between")
    meta = query.get("meta")
    return RequestQuery(
        owner=owner,
        cids=tuple(query_values.cid(cid) for cid in cids),
        name=name_of(query.get("name", "")),
        match=_word(NameMatch, "match", query.get("match", NameMatch.EXACT)),
        before=_time(query, "before"),
        after=_time(query, "after"),
        meta=texts_of(None if meta is None else json_object(meta, "parameter meta"), "parameter meta"),
        statuses=_statuses(query.get("status", RequestStatus.PINNED)),
        limit=limit,
    )


def _statuses(text: str) -> frozenset[RequestStatus]:
    return frozenset(_word(RequestStatus, "status", word) for word in text.split(","))


def _word(kind: type[Word], name: str, text: str) -> Word:
    try:
        return kind(text)
    except ValueError:
        raise BadRequest(f"parameter {name} invalid: {', '.join(kind)}") from None


def _time(query: Query, name: str) -> float | None:
    """Milliseconds since 1970. Times that were told come back as they were."""
    text = query.get(name)
    if text is None:
        return None
    try:
        return round(parse_time(text) * 1e6) / 1e3
    except ValueError as error:
        raise BadRequest(f"parameter {name} invalid: {error}") from None
