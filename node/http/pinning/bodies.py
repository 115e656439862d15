"""A Pin as a client sends it: `{"cid":…,"name":…,"origins":[…],"meta":{…}}`. What is not known is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

from cluster.allocation.pin_options import MAX_METADATA, MAX_METADATA_BYTES
from node.http.errors import BadRequest
from node.http.go import multiaddresses, query_values
from node.pinning.pin_request import WantedPin

MAX_BODY = 64 * 1024
"""Bytes of a body."""

MAX_NAME = 255
"""Characters."""

_MAX_ORIGINS = 20
_FIELDS = frozenset(("cid", "name", "origins", "meta"))


def wanted_pin(body: bytes) -> WantedPin:
    """Raises BadRequest."""
    fields = json_object(body, "the body")
    if unknown := sorted(fields.keys() - _FIELDS):
        raise BadRequest(f'field "{unknown[0][:64]}" is unknown: a pin has cid, name, origins and meta')
    cid = fields.get("cid")
    if not isinstance(cid, str) or not cid:
        raise BadRequest("field cid is missing: the CID that is to be pinned, a text")
    name = fields.get("name")
    return WantedPin(
        query_values.cid(cid),
        "" if name is None else name_of(name),
        _origins(fields.get("origins")),
        texts_of(fields.get("meta"), "field meta"),
    )


def json_object(body: bytes | str, what: str) -> Mapping[str, object]:
    """Raises BadRequest, also where a name is there twice."""
    try:
        found = json.loads(body, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise BadRequest(f"{what} is no JSON, or has a name twice") from None
    if not isinstance(found, dict):
        raise BadRequest(f"{what} is no JSON object")
    return found


def name_of(value: object) -> str:
    """Raises BadRequest."""
    if not isinstance(value, str) or len(value) > MAX_NAME or not _is_text(value):
        raise BadRequest(f"name invalid: a text of at most {MAX_NAME} characters")
    return value


def texts_of(value: object, what: str) -> Mapping[str, str]:
    """An object of texts; None is an empty one. Raises BadRequest."""
    if value is None:
        return MappingProxyType({})
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise BadRequest(f"{what} invalid: an object whose values are texts")
    texts = [text for pair in value.items() for text in pair]
    if not all(map(_is_text, texts)):
        raise BadRequest(f"{what} invalid: a text in it has NUL or half a character")
    size = sum(len(text.encode()) for text in texts)
    if len(texts) > 2 * MAX_METADATA or size > MAX_METADATA_BYTES:
        raise BadRequest(
            f"{what} invalid: at most {MAX_METADATA} entries, {MAX_METADATA_BYTES} bytes together"
        )
    return MappingProxyType(dict(value))


def _origins(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > _MAX_ORIGINS or len(value) > len(set(map(str, value))):
        raise BadRequest(f"field origins invalid: a list of at most {_MAX_ORIGINS} addresses, each once")
    for origin in value:
        if not isinstance(origin, str):
            raise BadRequest("field origins invalid: an address is a text")
        multiaddresses.check(origin)
    return tuple(value)


def _is_text(text: str) -> bool:
    """Whether UTF-8 can say it; without NUL, at which JSON in SQLite ends."""
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a name is there twice")
    return fields
