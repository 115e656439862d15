"""Values that several routes answer with, as JSON Schema: ipfs-cluster's fields, and behind them ours."""

from __future__ import annotations

from collections.abc import Mapping

from node.http.go.gojson import Json

_TEXT: Json = {"type": "string"}
_NUMBER: Json = {"type": "integer"}
_SWITCH: Json = {"type": "boolean"}
_TEXTS: Json = {"type": "array", "items": _TEXT}
_PERHAPS_TEXT: Json = {"type": ["string", "null"]}
_PERHAPS_TEXTS: Json = {"type": ["array", "null"], "items": _TEXT}
_PERHAPS_TEXT_MAP: Json = {"type": ["object", "null"], "additionalProperties": _TEXT}


def _object(**fields: Json) -> Json:
    return {"type": "object", "properties": dict(fields), "required": list(fields)}


_METRIC: Mapping[str, Json] = {
    "name": _TEXT,
    "peer": _TEXT,
    "value": _TEXT,
    "expire": _NUMBER,
    "valid": _SWITCH,
    "weight": _NUMBER,
    "partitionable": _SWITCH,
    "received_at": _NUMBER,
}
SCHEMAS: Mapping[str, Json] = {
    "Error": _object(code=_NUMBER, message=_TEXT),
    "ID": _object(
        id=_TEXT,
        addresses=_TEXTS,
        cluster_peers=_PERHAPS_TEXTS,
        cluster_peers_addresses=_TEXTS,
        version=_TEXT,
        error=_TEXT,
        peername=_TEXT,
    ),
    "Pin": _object(
        cid=_TEXT,
        name=_TEXT,
        mode={"type": "string", "enum": ["recursive", "direct"]},
        replication_factor_min=_NUMBER,
        replication_factor_max=_NUMBER,
        allocations=_TEXTS,
        metadata=_PERHAPS_TEXT_MAP,
        origins=_PERHAPS_TEXTS,
        expire_at=_PERHAPS_TEXT,
        pin_update=_PERHAPS_TEXT,
        timestamp=_TEXT,
    ),
    "Status": _object(
        cid=_TEXT,
        name=_TEXT,
        allocations=_TEXTS,
        metadata=_PERHAPS_TEXT_MAP,
        created=_TEXT,
        peer_map={
            "type": "object",
            "additionalProperties": _object(
                peername=_TEXT, status=_TEXT, timestamp=_TEXT, error=_TEXT, attempt_count=_NUMBER
            ),
        },
    ),
    "Metric": _object(**_METRIC),
    "Alert": _object(**_METRIC, triggered_at=_TEXT),
    "Job": _object(id=_TEXT, kind=_TEXT, state=_TEXT, subject=_TEXT, unit=_TEXT, done=_NUMBER, verbs=_TEXTS),
}
