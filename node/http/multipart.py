"""multipart/form-data without I/O: bytes in, parts out (RFC 7578, RFC 2046 section 5.1).

aiohttp's own reader looks at bodies line by line; this one searches whole buffers, so that adding is not
bound by it. Nothing of a body is kept: pieces go out as they come in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

MAX_HEADER_BYTES = 16 * 1024  # of one part; Go's limit is of the same order
_MAX_BOUNDARY = 70  # RFC 2046
_MAX_PADDING = 64  # blanks that may follow a boundary


class BadMultipart(ValueError):
    """A body that is not the multipart/form-data it says it is, or that ends early."""


@dataclass(frozen=True, slots=True)
class PartStart:
    """A part begins. Header names are lower-case; the last of a repeated one counts."""

    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part that began last is complete."""


PART_END = PartEnd()
Event = PartStart | PartEnd | bytes
_Step = Callable[[bytes, int], tuple[Event | None, int]]


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
        self._delimiter = b"\r\n--" + boundary
        self._held = b"\r\n"  # so that a boundary at the very start is found like every other
        self._step: _Step = self._preamble

    @property
    def ended(self) -> bool:
        """Whether the closing boundary has been seen."""
        return self._step == self._epilogue

    def feed(self, data: bytes) -> Iterator[Event]:
        """Raises BadMultipart."""
        if self._held:
            data, self._held = self._held + data, b""
        position = 0
        while position >= 0:
            event, position = self._step(data, position)
            if event is not None:
                yield event

    def finish(self) -> None:
        """No more bytes will come. Raises BadMultipart when the closing boundary is missing."""
        if not self.ended:
            raise BadMultipart("multipart body ends before its closing boundary")

    # Each step looks at data from a position and returns an event, if any, and where to go on;
    # -1 when it needs more bytes (what it has not used is then held).

    def _preamble(self, data: bytes, position: int) -> tuple[Event | None, int]:
        found = data.find(self._delimiter, position)
        if found < 0:
            return None, self._hold(data, self._possible_delimiter(data, position))
        self._step = self._after_delimiter
        return None, found + len(self._delimiter)

    def _after_delimiter(self, data: bytes, position: int) -> tuple[Event | None, int]:
        if data.startswith(b"--", position):
            self._step = self._epilogue
            return None, -1
        line_end = data.find(b"\r\n", position, position + _MAX_PADDING + 2)
        if line_end < 0:
            if len(data) - position > _MAX_PADDING:
                raise BadMultipart("multipart boundary line does not end")
            return None, self._hold(data, position)
        if data[position:line_end].strip(b" \t"):
            raise BadMultipart("multipart boundary is followed by other bytes")
        self._step = self._headers
        return None, line_end + 2

    def _headers(self, data: bytes, position: int) -> tuple[Event | None, int]:
        if data.startswith(b"\r\n", position):
            self._step = self._body
            return PartStart({}), position + 2
        end = data.find(b"\r\n\r\n", position, position + MAX_HEADER_BYTES)
        if end < 0:
            if len(data) - position >= MAX_HEADER_BYTES:
                raise BadMultipart(f"headers of a part are above {MAX_HEADER_BYTES} bytes")
            return None, self._hold(data, position)
        self._step = self._body
        return PartStart(_headers(data[position:end])), end + 4

    def _body(self, data: bytes, position: int) -> tuple[Event | None, int]:
        found = data.find(self._delimiter, position)
        if found >= 0:
            self._step = self._part_end
            return (data[position:found] or None), found
        keep = self._possible_delimiter(data, position)
        if keep < len(data):
            self._hold(data, keep)
        piece = data[position:keep] if position or keep < len(data) else data
        return (piece or None), -1

    def _part_end(self, data: bytes, position: int) -> tuple[Event | None, int]:
        self._step = self._after_delimiter
        return PART_END, position + len(self._delimiter)

    def _epilogue(self, data: bytes, position: int) -> tuple[Event | None, int]:
        return None, -1

    def _possible_delimiter(self, data: bytes, position: int) -> int:
        """Where the end of `data` could be the beginning of a delimiter; its length where it cannot."""
        start = max(position, len(data) - len(self._delimiter) + 1)
        while (start := data.find(b"\r", start)) >= 0:
            if self._delimiter.startswith(data[start:]):
                return start
            start += 1
        return len(data)

    def _hold(self, data: bytes, position: int) -> int:
        self._held = data[position:]
        return -1


def _headers(block: bytes) -> dict[str, str]:
    headers = {}
    for line in block.decode(errors="surrogateescape").split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon:
            raise BadMultipart(f'malformed header line of a part: "{line[:80]}"')
        headers[name.strip().lower()] = value.strip()
    return headers
