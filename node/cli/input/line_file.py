"""A file of pins as the body of a request: `CID [name]` lines or JSON, sent while the answers are read."""

from __future__ import annotations

import json
import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from node.cli.input.byte_stream import STDIN, PipedContent
from node.http.rest.bulk.line_splitter import LineSplitter

CONTENT_TYPE = "application/x-ndjson"
_PIECE = 64 * 1024  # bytes sent at once

LineForm = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class SentLine:
    """A line on its way, as it stands in the file."""

    number: int
    text: bytes


class LineFile:
    """Read once, in the thread that sends it; `until` is for the thread that reads answers.

    What is held are the lines that were sent and not answered yet: as many as the node takes in ahead.
    """

    def __init__(self, path: str, skip: int = 0, form: LineForm = bytes) -> None:
        """`form` makes a line of JSON of one of the file."""
        self.path = path
        self._form = form
        self._skip = skip
        self._sent: deque[SentLine] = deque()

    def size(self) -> int | None:
        """Bytes; None for what comes as a stream."""
        if self.path == STDIN:
            return None
        status = os.stat(self.path)
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def body(self) -> Iterator[bytes]:
        """JSON lines, the first `skip` ones blank: so the node counts as the file does."""
        gathered = bytearray()
        for number, line in enumerate(self._lines(), 1):
            self._sent.append(SentLine(number, line))
            gathered += (b"" if number <= self._skip else self._form(line)) + b"\n"
            if len(gathered) >= _PIECE:
                yield bytes(gathered)
                gathered.clear()
        yield bytes(gathered)

    def until(self, number: int) -> Iterator[SentLine]:
        """Lines up to that one, which need not be kept any more."""
        while self._sent and self._sent[0].number <= number:
            yield self._sent.popleft()

    def _lines(self) -> Iterator[bytes]:
        splitter = LineSplitter()
        for piece in PipedContent(self.path).pieces():
            yield from splitter.feed(piece)
        yield from splitter.finish()


def text_or_json(line: bytes) -> bytes:
    """A line of text, `CID [name]`, as one of JSON; what is JSON stays as it is."""
    line = line.strip()
    if not line or line.startswith(b"{"):
        return line
    words = line.decode(errors="surrogateescape").split(maxsplit=1)
    return json.dumps(dict(zip(("cid", "name"), words, strict=False))).encode()
