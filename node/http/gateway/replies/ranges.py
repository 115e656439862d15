"""Byte ranges (RFC 9110 section 14): of several, the first that the content has is given.

A server may send fewer ranges than were asked for (section 15.3.7.2). Answers of many parts are left out on
purpose: browsers ask for one range at a time, and a header of a thousand overlapping ones must cost nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SPEC = re.compile(r"([0-9]{0,18})-([0-9]{0,18})")
_MAX = 16  # ranges that are looked at


class BadRange(Exception):
    """A Range header that does not parse."""


class Unsatisfiable(Exception):
    """Ranges outside the content, which has `size` bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"range is outside the {size} bytes of the content")
        self.size = size


@dataclass(frozen=True, slots=True)
class ByteRange:
    """`first`-`last` inclusive; no first = the last `last` bytes, no last = to the end."""

    first: int | None
    last: int | None

    def within(self, size: int) -> tuple[int, int]:
        """Start and stop (exclusive) in content of that size; not ascending where nothing of it is meant."""
        if self.first is None:
            return max(0, size - (self.last or 0)), size
        return self.first, size if self.last is None else min(self.last + 1, size)


def part(header: str, size: int) -> tuple[int, int] | None:
    """Start and stop (exclusive) of what a Range header asks for, None where its unit is not `bytes`.

    Raises BadRange, Unsatisfiable.
    """
    if not header.startswith("bytes="):
        return None
    asked = [text for text in header[6:].split(",", _MAX)[:_MAX] if text.strip()]  # section 5.6.1.2
    for one in map(_parsed, asked or [""]):
        start, stop = one.within(size)
        if start < stop:
            return start, stop
    raise Unsatisfiable(size)


def _parsed(text: str) -> ByteRange:
    match = _SPEC.fullmatch(text.strip())
    if match is None or match[0] == "-":
        raise BadRange(f"invalid range: {text.strip()[:64]}")
    first, last = (int(digits) if digits else None for digits in match.groups())
    if first is not None and last is not None and first > last:
        raise BadRange(f"invalid range: {match[0]}")
    return ByteRange(first, last)
