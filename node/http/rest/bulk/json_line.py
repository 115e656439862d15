"""One line of a body as a JSON object, read strictly: what two readers could take differently is an error."""

from __future__ import annotations

import json
from typing import NoReturn

from blockstore.cid import CID
from node.http.errors import BadRequest
from node.http.go import query_values
from node.http.rest.bulk.line_splitter import MAX_LINE

JsonFields = dict[str, object]
"""The fields of a JSON object as Python's decoder gives them."""


def json_object(line: bytes) -> JsonFields:
    """Raises BadRequest, with what is wrong."""
    if len(line) > MAX_LINE:
        raise BadRequest(f"the line is longer than {MAX_LINE} bytes")
    try:
        value = _DECODER.decode(line.decode())
        if b"\\u" in line:
            json.dumps(value, ensure_ascii=False).encode()  # a half of a surrogate pair is no text
    except UnicodeError:
        raise BadRequest("the line is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise BadRequest(f"the line is no JSON: {error.msg} at character {error.pos + 1}") from None
    except (ValueError, RecursionError) as error:  # the latter of a thousand brackets
        raise BadRequest(f"the line is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadRequest("the line is no JSON object: {…} is needed")
    return value


def cid_of(fields: JsonFields) -> CID:
    """Raises BadRequest."""
    text = fields.get("cid")
    if not isinstance(text, str):
        raise BadRequest('the line needs a field "cid", a text')
    return query_values.cid(text)


def cid_in(line: bytes) -> CID | None:
    """Of a line with which something is wrong, where it can be read all the same."""
    try:
        return cid_of(json_object(line))
    except BadRequest:
        return None


def _no_field_twice(pairs: list[tuple[str, object]]) -> JsonFields:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'"{twice[:64]}" is there twice')
    return fields


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_no_field_twice, parse_constant=_no_number)
