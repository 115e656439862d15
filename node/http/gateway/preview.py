"""A node of dag-json or dag-cbor as a page: its fields in order, its links to follow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from blockstore import codecs
from blockstore.block import Block
from blockstore.cid import CID, DAG_CBOR
from blockstore.codecs import Value
from node.http.gateway.request import quote_name
from node.version import VERSION

if TYPE_CHECKING:
    import jinja2

MAX_DEPTH = 64  # levels that are shown; a node may be nested as deeply as its block is long
MAX_SHOWN = 1024 * 1024  # characters of fields
_MAX_BYTES = 256  # of a byte string

_TEMPLATES = Path(__file__).parent.parent / "templates"


@cache
def template() -> jinja2.Template:
    import jinja2  # late: it costs start time and memory, and only generated pages need it

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, auto_reload=False
    )
    return environment.get_template("dag.html")


@cache
def template_hash() -> str:
    """What the Etag of the page depends on besides the CID."""
    return hashlib.sha256(VERSION.encode() + (_TEMPLATES / "dag.html").read_bytes()).hexdigest()[:16]


def render(path: str, block: Block, own: str) -> str:
    """The page; `own` leads to the node as it is. Raises BadBlock."""
    return template().render(
        path=path,
        cid=str(block.cid),
        codec="dag-cbor" if block.cid.codec == DAG_CBOR else "dag-json",
        size=len(block.data),
        own=own,
        fields=fields(codecs.decode(block)),
    )


def fields(value: Value) -> str:
    """A value as HTML, escaped, links as links; too much of it is cut and says so."""
    shown: list[str] = []
    length = 0
    for piece in _pieces(value, 0):
        shown.append(piece)
        length += len(piece)
        if length > MAX_SHOWN:
            shown.append("\n… cut here: this is a large node")
            break
    return "".join(shown)


def _pieces(value: Value, depth: int) -> Iterator[str]:
    if isinstance(value, dict) and value:
        rows = ((f"{_text(key)}: ", item) for key, item in value.items())
        yield from _nested("{", rows, "}", depth)
    elif isinstance(value, list) and value:
        yield from _nested("[", (("", item) for item in value), "]", depth)
    else:
        yield _scalar(value)


def _nested(opening: str, rows: Iterator[tuple[str, Value]], closing: str, depth: int) -> Iterator[str]:
    if depth == MAX_DEPTH:
        yield f"{opening} … {closing}"
        return
    yield opening
    for count, (label, item) in enumerate(rows):
        yield f"{',' if count else ''}\n{'  ' * (depth + 1)}{label}"
        yield from _pieces(item, depth + 1)
    yield f"\n{'  ' * depth}{closing}"


def _scalar(value: Value) -> str:
    if isinstance(value, CID):
        return f'<a href="/ipfs/{quote_name(str(value))}">{value}</a>'
    if isinstance(value, bytes):
        more = "…" if len(value) > _MAX_BYTES else ""
        return f"<i>{len(value)} bytes</i> {value[:_MAX_BYTES].hex()}{more}"
    if isinstance(value, str):
        return _text(value)
    return escape(json.dumps(value))


def _text(text: str) -> str:
    return escape(json.dumps(text, ensure_ascii=False))
