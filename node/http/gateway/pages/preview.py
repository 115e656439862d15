"""A node of dag-json or dag-cbor as a page: its fields in order, its links to follow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape

from blockstore.block import Block
from blockstore.cid import CID, DAG_CBOR
from blockstore.errors import DagTooLarge
from blockstore.ipld import codecs
from blockstore.ipld.codecs import Value
from node.http.gateway.pages.links import PageLinks
from node.http.gateway.pages.page import Page, page
from node.http.gateway.paths.request import RequestPath
from node.unicode_safety import spelled

MAX_DEPTH = 64  # levels that are shown; a node may be nested as deeply as its block is long
MAX_SHOWN = 1024 * 1024  # characters of fields
_MAX_BYTES = 256  # of a byte string
_MAX_TEXT = 64 * 1024  # characters of a text; escaped, each may be six


def template() -> Page:
    """The page around the fields."""
    return page("dag.html")


def render(path: RequestPath, block: Block) -> str:
    """The page. Raises BadBlock.

    A large node takes long: see `blockstore.ipld.decoding.beside`.
    """
    links = PageLinks.of(path)
    codec = "dag-cbor" if block.cid.codec == DAG_CBOR else "dag-json"
    texts = {
        "path": path.text,
        "cid": str(block.cid),
        "codec": codec,
        "size": f"{len(block.data):,} bytes",
    }
    return template().fill(texts, {"crumbs": links.crumbs(path), "fields": _fields_of(block, links)})


def _fields_of(block: Block, links: PageLinks) -> str:
    try:
        return fields(codecs.decode(block), links)
    except DagTooLarge as error:
        return f"<i>not shown: {escape(str(error))}</i>"


def fields(value: Value, links: PageLinks) -> str:
    """A value as HTML, escaped, links as links; too much of it is cut and says so."""
    shown: list[str] = []
    length = 0
    for piece in _pieces(value, 0, links):
        shown.append(piece)
        length += len(piece)
        if length > MAX_SHOWN:
            shown.append("\n… cut here: this is a large node")
            break
    return "".join(shown)


def _pieces(value: Value, depth: int, links: PageLinks) -> Iterator[str]:
    if isinstance(value, dict) and value:
        rows = ((f"{_text(key)}: ", item) for key, item in value.items())
        yield from _nested("{", rows, "}", depth, links)
    elif isinstance(value, list) and value:
        yield from _nested("[", (("", item) for item in value), "]", depth, links)
    else:
        yield _scalar(value, links)


def _nested(
    opening: str, rows: Iterator[tuple[str, Value]], closing: str, depth: int, links: PageLinks
) -> Iterator[str]:
    if depth == MAX_DEPTH:
        yield f"{opening} … {closing}"
        return
    yield opening
    for count, (label, item) in enumerate(rows):
        yield f"{',' if count else ''}\n{'  ' * (depth + 1)}{label}"
        yield from _pieces(item, depth + 1, links)
    yield f"\n{'  ' * depth}{closing}"


def _scalar(value: Value, links: PageLinks) -> str:
    if isinstance(value, CID):
        return f"<a {links.to(value)}>{value}</a>"
    if isinstance(value, bytes):
        more = "…" if len(value) > _MAX_BYTES else ""
        return f"<i>{len(value)} bytes</i> {value[:_MAX_BYTES].hex()}{more}"
    if isinstance(value, str):
        return _text(value)
    return escape(json.dumps(value))


def _text(text: str) -> str:
    more = "…" if len(text) > _MAX_TEXT else ""
    quoted = json.dumps(text[:_MAX_TEXT], ensure_ascii=False)
    return escape(spelled(quoted, lambda code: json.dumps(chr(code))[1:-1])) + more
