"""multipart/form-data without I/O: bytes in, parts out (RFC 7578), by the parser of `multipart`.

Nothing of a body is kept: pieces go out as they come in. Ours are the bounds, one kind of error, and how
header parameters are read: file names of Kubo's clients are escaped twice, and need not be UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from multipart import MultipartError, MultipartSegment, PushMultipartParser

from node.http.errors import BadMultipart

MAX_HEADER_BYTES = 16 * 1024  # of one part; Go's limit is of the same order
_MAX_HEADERS = 32  # of one part
_MAX_BOUNDARY = 70  # RFC 2046


@dataclass(frozen=True, slots=True)
class PartStart:
    """A part begins. Header names are lower-case; the last of a repeated one counts."""

    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part that began last is complete."""


PART_END = PartEnd()
Event = PartStart | PartEnd | bytes


def boundary_of(content_type: str) -> bytes:
    """The boundary in a Content-Type header. Raises BadMultipart when it is no multipart/form-data."""
    kind, _, rest = content_type.partition(";")
    if kind.strip().lower() != "multipart/form-data":
        raise BadMultipart("request Content-Type isn't multipart/form-data")
    boundary = parameters(rest).get("boundary", "")
    if not 0 < len(boundary) <= _MAX_BOUNDARY or not boundary.isascii():
        raise BadMultipart("no multipart boundary param in Content-Type")
    return boundary.encode()


def parameters(text: str) -> dict[str, str]:
    """`a=1; b="x;y"` as a dict. Backslash escapes inside quotes count only before a quote or a backslash."""
    found: dict[str, str] = {}
    position = 0
    while (equals := text.find("=", position)) >= 0:
        name = text[position:equals].strip(" \t;").lower()
        value, position = _value(text, equals + 1)
        found.setdefault(name, value)
    return found


def _value(text: str, start: int) -> tuple[str, int]:
    if not text.startswith('"', start):
        end = text.find(";", start)
        end = len(text) if end < 0 else end
        return text[start:end].strip(), end
    end = text.find('"', start + 1)
    while end > 0 and text[end - 1] == "\\" and not text[:end].endswith("\\\\"):
        end = text.find('"', end + 1)
    if end < 0:
        raise BadMultipart("a quoted header parameter does not end")
    value = text[start + 1 : end]
    return (value.replace('\\"', '"').replace("\\\\", "\\") if "\\" in value else value), end + 1


class MultipartParser:
    """Feed it the body in any pieces; it yields PartStart, pieces of the part's body, PartEnd, and so on."""

    def __init__(self, boundary: bytes) -> None:
        self._parser = _AnyParts(
            boundary,
            max_header_size=MAX_HEADER_BYTES,
            max_header_count=_MAX_HEADERS,
            header_charset=_BYTES_AS_TEXT,
        )

    def feed(self, data: bytes) -> Iterator[Event]:
        """What these bytes complete, of which all is to be taken before more are fed. Raises BadMultipart."""
        try:
            for event in self._parser.parse(data) if data != _THE_END else ():
                yield _event(event)
        except MultipartError as error:
            raise BadMultipart(f"multipart body cannot be read: {error}") from error

    def finish(self) -> None:
        """No more bytes will come. Raises BadMultipart when the closing boundary is missing."""
        try:
            next(self._parser.parse(_THE_END), None)
        except MultipartError as error:
            raise BadMultipart("multipart body ends before its closing boundary") from error


_THE_END = b""  # for the library
_BYTES_AS_TEXT = "latin-1"  # of headers, until they are decoded: the library knows no surrogateescape


class _AnyParts(PushMultipartParser):
    """Parts need no Content-Disposition of `form-data`: older clients of Kubo call them `file`."""

    def _create_segment(self, headerlist: list[tuple[str, str]]) -> MultipartSegment:
        """The place that the library gives to other kinds of parts."""
        if sum(len(name) + len(value) + 4 for name, value in headerlist) > MAX_HEADER_BYTES:
            raise BadMultipart(f"headers of a part are above {MAX_HEADER_BYTES} bytes")
        segment = MultipartSegment([])  # without headers it does not read them in its own way
        segment.headerlist = headerlist
        return segment


def _event(event: MultipartSegment | bytes | None) -> Event:
    if event is None:
        return PART_END
    if isinstance(event, MultipartSegment):
        return PartStart({name.lower(): _text(value) for name, value in event.headerlist})
    return event


def _text(value: str) -> str:
    return value if value.isascii() else value.encode(_BYTES_AS_TEXT).decode(errors="surrogateescape")
