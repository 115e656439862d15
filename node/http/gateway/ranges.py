"""Byte ranges (RFC 9110 section 14): the first range of the header counts, as in many servers."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SPEC = re.compile(r"([0-9]{0,18})-([0-9]{0,18})")


class BadRange(Exception):
    """A Range header that does not parse."""


class Unsatisfiable(Exception):
    """A range outside the content, which has `size` bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"range is outside the {size} bytes of the content")
        self.size = size


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`first`-`last` inclusive; no first = the last `last` bytes, no last = to the end."""

    first: int | None
    last: int | None

    def within(self, size: int) -> tuple[int, int]:
        """Start and stop (exclusive) in content of that size. Raises Unsatisfiable."""
        if self.first is None:
            start, stop = max(0, size - (self.last or 0)), size
        else:
            start, stop = self.first, size if self.last is None else min(self.last + 1, size)
        if start >= stop:
            raise Unsatisfiable(size)
        return start, stop


def parse(header: str | None) -> ByteRange | None:
    """The first range, None without a header of the unit `bytes`. Raises BadRange."""
    if header is None or not header.startswith("bytes="):
        return None
    match = _SPEC.fullmatch(header[6:].split(",")[0].strip())
    if match is None or match[0] == "-":
        raise BadRange(f"invalid range: {header[:64]}")
    first, last = (int(text) if text else None for text in match.groups())
    if first is not None and last is not None and first > last:
        raise BadRange(f"invalid range: {header[:64]}")
    return ByteRange(first, last)
