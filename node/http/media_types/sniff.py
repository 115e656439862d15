"""Content types: by the name's extension, else by the first bytes (WHATWG MIME sniffing, shortened)."""

from __future__ import annotations

import json
import re

from node.http.media_types.by_extension import BY_EXTENSION
from node.http.media_types.signatures import known, known_binary

SNIFF_BYTES = 512
UNKNOWN = "application/octet-stream"
_TEXT = "text/plain; charset=utf-8"

_SVG = "image/svg+xml"
_BEFORE_SVG = (b"<svg", b"<?xml", b"<!--", b"<!DOCTYPE svg")
_ELEMENT = re.compile(rb"<([A-Za-z][^\s/>]*)[\s/>]")
_HTML = tuple(
    b"<" + tag
    for tag in b"!doctype html,html,head,script,iframe,h1,div,font,table,a,style,title,b,body,br,p,!--".split(
        b","
    )
)
_JSON_BEGINS = re.compile(rb'[\s\[]*+\{\s*+"(?:[^"\\]|\\.)*+"\s*+:')
_TEXT_BYTES = bytes({9, 10, 12, 13, 27} | set(range(32, 256)))


def by_name(name: str) -> str | None:
    """Content type of a file name, None when its extension says nothing."""
    stem, dot, extension = name.rpartition(".")
    kind = BY_EXTENSION.get(f".{extension.lower()}") if dot and stem else None
    if kind is None or kind == "text/html" or not kind.startswith("text/"):
        return kind
    return f"{kind}; charset=utf-8"


def sniff(data: bytes) -> str:
    """Content type of a file that begins with these bytes."""
    head = data[:SNIFF_BYTES]
    start = head.lstrip(b"\t\n\x0c\r ")
    if start[:1] == b"<" and (kind := _markup(start)):
        return kind
    if kind := known(head):
        return kind
    if head.translate(None, _TEXT_BYTES):
        return known_binary(head) or UNKNOWN
    return "application/json" if start[:1] in (b"{", b"[") and _is_json(head) else _TEXT


def _markup(start: bytes) -> str | None:
    """SVG, which browsers show as an image under its own type only, or a page."""
    if start.startswith(_BEFORE_SVG) and (element := _ELEMENT.search(start)) and element[1] == b"svg":
        return _SVG
    lower = start.lower()
    return "text/html" if lower.startswith(_HTML) and _tag_ends(lower) else None


def _is_json(head: bytes) -> bool:
    """A whole short document; of a longer one, an object that begins as one."""
    if len(head) == SNIFF_BYTES:
        return _JSON_BEGINS.match(head) is not None
    try:
        json.loads(head)
    except ValueError:  # bad UTF-8 is one
        return False
    return True


def _tag_ends(start: bytes) -> bool:
    return any(start.startswith(tag) and start[len(tag) : len(tag) + 1] in b" >" for tag in _HTML)
