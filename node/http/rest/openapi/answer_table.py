"""What routes answer, and the bodies that some of them read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from node.http.go.gojson import Json
from node.http.rest.openapi.parameter_names import RouteKey


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """`schema` names one of `schemas.py`; empty: JSON of the route's own. `many`: an array of it.

    `lines`: a stream, an object a line, and 204 where there is none. `statuses` are those without a body.
    """

    schema: str = ""
    many: bool = False
    lines: bool = False
    media: str = "application/json"
    statuses: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class BodyFacts:
    """What a route reads: its media type, and its form as JSON Schema."""

    media: str
    schema: Mapping[str, Json]


_LINES = AnswerFacts(lines=True)
_NDJSON = AnswerFacts(lines=True, media="application/x-ndjson")
_NOTHING = AnswerFacts(statuses=(204,))

ANSWERS: Mapping[RouteKey, AnswerFacts] = {
    ("GET", "/id"): AnswerFacts("ID"),
    ("GET", "/peers"): _LINES,
    ("POST", "/peers"): AnswerFacts("ID"),
    ("DELETE", "/peers/{peer}"): _NOTHING,
    ("GET", "/health"): _NOTHING,
    ("GET", "/health/started"): _NOTHING,
    ("GET", "/health/live"): _NOTHING,
    ("GET", "/health/ready"): _NOTHING,
    ("GET", "/health/alerts"): AnswerFacts("Alert", many=True),
    ("GET", "/monitor/metrics/{name}"): AnswerFacts("Metric", many=True),
    ("POST", "/add"): _LINES,
    ("GET", "/allocations"): _LINES,
    ("GET", "/allocations/{cid}"): AnswerFacts("Pin"),
    ("GET", "/pins"): _LINES,
    ("POST", "/pins/recover"): _LINES,
    ("GET", "/pins/{cid}"): AnswerFacts("Status"),
    ("POST", "/pins/{cid}"): AnswerFacts("Pin"),
    ("DELETE", "/pins/{cid}"): AnswerFacts("Pin"),
    ("POST", "/pins/{cid}/recover"): AnswerFacts("Status"),
    ("POST", "/pins/{namespace}/{path}"): AnswerFacts("Pin"),
    ("DELETE", "/pins/{namespace}/{path}"): AnswerFacts("Pin"),
    ("GET", "/v1/pins"): _LINES,
    ("POST", "/v1/pins"): _NDJSON,
    ("POST", "/v1/unpins"): _NDJSON,
    ("GET", "/v1/state"): _NDJSON,
    ("POST", "/v1/state"): _NDJSON,
    ("POST", "/v1/cars"): _LINES,
    ("POST", "/v1/gc"): _LINES,
    ("POST", "/v1/store/check"): _LINES,
    ("GET", "/v1/jobs/{job}"): AnswerFacts("Job"),
    ("POST", "/v1/jobs/{job}/{verb}"): AnswerFacts("Job"),
    ("GET", "/v1/sync"): _LINES,
    ("POST", "/v1/sync"): _LINES,
    ("POST", "/v1/compact"): _LINES,
    ("GET", "/v1/events"): AnswerFacts(media="text/event-stream"),
    ("GET", "/v1/swarm/peers"): _LINES,
    ("GET", "/v1/follows"): _LINES,
    ("GET", "/v1/tokens"): _LINES,
    ("GET", "/v1/audit"): _LINES,
}
"""Of the others it is one JSON value."""

_UPLOAD = BodyFacts(
    "multipart/form-data",
    {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}, "required": ["file"]},
)
_PIN_LINES = BodyFacts("application/x-ndjson", {"type": "string"})
BODIES: Mapping[RouteKey, BodyFacts] = {
    ("POST", "/add"): _UPLOAD,
    ("POST", "/v1/cars"): _UPLOAD,
    ("POST", "/v1/pins"): _PIN_LINES,
    ("POST", "/v1/unpins"): _PIN_LINES,
    ("POST", "/v1/state"): _PIN_LINES,
    ("POST", "/peers"): BodyFacts(
        "application/json",
        {"type": "object", "properties": {"peer_id": {"type": "string"}}, "required": ["peer_id"]},
    ),
}
"""Of the routes that read one."""
