"""The parts of a multipart upload, in order, bodies streamed: nothing is read before it is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, unquote_plus

from aiohttp import StreamReader, web

from node.http.errors import BadMultipart
from node.http.uploads.multipart import (
    Event,
    MultipartParser,
    PartEnd,
    PartStart,
    boundary_of,
    parameters,
)
from node.services.paced_sink import Turn, at_once

DIRECTORY = "application/x-directory"
SYMLINK = "application/symlink"
TICKET = "Handed-File"
"""The header of a part whose content is a file that was handed over; it has no content of its own."""

_ESCAPED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~!*'()%+")
_HEX = frozenset("0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True)
class Part:
    """One part. `body` must be read, or left, before the next part is asked for."""

    path: str
    kind: str
    stamp: dict[str, str]  # Kubo's mode, mtime, mtime-nsecs
    ticket: str  # of a file that was handed over, which is its content then
    body: AsyncIterator[bytes] = field(repr=False)


async def parts(request: web.Request, turn: Turn = at_once) -> AsyncIterator[Part]:
    """`turn` is told how many bytes came; the next ones are read when it returns.

    Raises BadMultipart, also for a body that ends early, and what `turn` raises.
    """
    events = _Events(request.content, boundary_of(request.headers.get("Content-Type", "")), turn)
    while (event := await events.next()) is not None:
        if isinstance(event, PartStart):
            yield _part(event.headers, events.body())


class _Events:
    """The parser's events, pulled: the socket is read when the parser has nothing left."""

    def __init__(self, content: StreamReader, boundary: bytes, turn: Turn) -> None:
        self._content = content
        self._turn = turn
        self._parser = MultipartParser(boundary)
        self._ready: Iterator[Event] = iter(())

    async def next(self) -> Event | None:
        """None when the upload is complete."""
        while (event := next(self._ready, None)) is None:
            data = await self._content.readany()
            await self._turn(len(data))
            if not data:
                self._parser.finish()
                return None
            self._ready = self._parser.feed(data)
        return event

    async def body(self) -> AsyncIterator[bytes]:
        """Pieces of the present part."""
        while isinstance(event := await self.next(), bytes):
            yield event
        if not isinstance(event, PartEnd):
            raise BadMultipart("multipart body ends inside a part")


def _part(headers: dict[str, str], body: AsyncIterator[bytes]) -> Part:
    kind = headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()
    disposition = parameters(headers.get("content-disposition", "").partition(";")[2])
    _, _, stamp = disposition.get("name", "").partition("?")
    fields = {key: values[-1] for key, values in parse_qs(stamp).items()} if stamp else {}
    ticket = headers.get(TICKET.lower(), "")
    return Part(file_name(disposition.get("filename", "")), kind, fields, ticket, body)


def file_name(text: str) -> str:
    """The path in a `filename`: Kubo's clients escape it as in a query string, browsers hardly at all.

    Where a character shows that it was not query-escaped, a plus sign is a plus sign. A percent sign that
    begins no escape means that nothing is escaped, as Go's parser has it. Bytes that are no UTF-8 are kept.
    """
    if "%" not in text and "+" not in text:
        return text
    if any(not set(escape[:2]) <= _HEX or len(escape) < 2 for escape in text.split("%")[1:]):
        return text
    decode = unquote_plus if _ESCAPED.issuperset(text) else unquote
    return decode(text, errors="surrogateescape")
