"""Bytes as they come, cut into lines of bounded length."""

from __future__ import annotations

MAX_LINE = 128 * 1024
"""Bytes of a line: a pin has 16 KiB, which JSON's escapes can make six times as long."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class LineSplitter:
    """A line above MAX_LINE is given as its first MAX_LINE + 1 bytes; what is held is never more."""

    def __init__(self) -> None:
        self._rest = b""
        self._begun = False

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that end in `data`, without their ends."""
        *lines, rest = data.split(b"\n")
        if not lines:
            self._rest = _cut(self._rest + rest)
            return []
        lines[0] = self._rest + lines[0]
        self._rest = _cut(rest)
        if not self._begun:
            self._begun = True
            lines[0] = lines[0].removeprefix(_BYTE_ORDER_MARK)
        return [line if len(line) <= MAX_LINE else _cut(line) for line in lines]

    def finish(self) -> list[bytes]:
        """The last line, where no line break ends it. Not to be called for data that broke off."""
        return self.feed(b"\n") if self._rest else []


def _cut(line: bytes) -> bytes:
    return line[: MAX_LINE + 1]
