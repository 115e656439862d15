"""Content types: by the name's extension, else by the first bytes (WHATWG MIME sniffing, shortened)."""

from __future__ import annotations

import json
import mimetypes
import re

SNIFF_BYTES = 512
UNKNOWN = "application/octet-stream"
_TEXT = "text/plain; charset=utf-8"

mimetypes.init(files=[])  # only Python's own table: the same file has the same type on every machine
_BY_EXTENSION = {
    **mimetypes.types_map,
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".avif": "image/avif",
    ".car": "application/vnd.ipld.car",
    ".flac": "audio/flac",
    ".gz": "application/gzip",
    ".jsonld": "application/ld+json",
    ".md": "text/markdown",
    ".mkv": "video/x-matroska",
    ".ogg": "audio/ogg",
    ".opus": "audio/opus",
    ".wasm": "application/wasm",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xz": "application/x-xz",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zst": "application/zstd",
}

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", "application/pdf"),
    (0, b"%!PS-Adobe-", "application/postscript"),
    (0, b"\xef\xbb\xbf", _TEXT),
    (0, b"\xfe\xff", "text/plain; charset=utf-16be"),
    (0, b"\xff\xfe", "text/plain; charset=utf-16le"),
    (0, b"GIF8", "image/gif"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (8, b"WEBPVP", "image/webp"),
    (8, b"WAVE", "audio/wave"),
    (8, b"AVI ", "video/avi"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"OggS\x00", "application/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"MThd\x00\x00\x00\x06", "audio/midi"),
    (0, b"BM", "image/bmp"),
    (0, b"wOFF", "font/woff"),
    (0, b"wOF2", "font/woff2"),
    (0, b"\x1f\x8b\x08", "application/gzip"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"Rar!\x1a\x07", "application/x-rar-compressed"),
    (0, b"7z\xbc\xaf'\x1c", "application/x-7z-compressed"),
    (0, b"\x00asm", "application/wasm"),
    (0, b"<?xml", "text/xml; charset=utf-8"),
)
_FIRST_BYTES = frozenset(magic[0] for offset, magic, _ in _SIGNATURES if offset == 0)
_CONTAINERS = frozenset((b"WEBP", b"WAVE", b"AVI ", b"ftyp"))
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
    kind = _BY_EXTENSION.get(f".{extension.lower()}") if dot and stem else None
    if kind is None or kind == "text/html" or not kind.startswith("text/"):
        return kind
    return f"{kind}; charset=utf-8"


def sniff(data: bytes) -> str:
    """Content type of a file that begins with these bytes."""
    head = data[:SNIFF_BYTES]
    if (head[:1] and head[0] in _FIRST_BYTES) or head[4:8] == b"ftyp" or head[8:12] in _CONTAINERS:
        for offset, magic, kind in _SIGNATURES:
            if head.startswith(magic, offset):
                return kind
    start = head.lstrip(b"\t\n\x0c\r ")
    if start[:1] == b"<" and start.lower().startswith(_HTML) and _tag_ends(start.lower()):
        return "text/html"
    if head.translate(None, _TEXT_BYTES):
        return UNKNOWN
    return "application/json" if start[:1] in (b"{", b"[") and _is_json(head) else _TEXT


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
