"""How large an answer may be (boxo: MaxDeserializedResponseSize, MaxRangeRequestFileSize)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

_ELSEWHERE = "get it by its blocks (?format=raw), or from a node of your own"


class TooLarge(Exception):
    """Content that is larger than the gateway gives."""

    def __init__(self, most: int) -> None:
        super().__init__(f"this gateway gives no content of more than {most} bytes: {_ELSEWHERE}")


class RangeOfTooLarge(Exception):
    """A range of a file that is larger than the gateway gives ranges of."""

    def __init__(self, most: int) -> None:
        super().__init__(f"this gateway gives no ranges of files of more than {most} bytes: {_ELSEWHERE}")


def check(size: int, most: int) -> None:
    """`most` bytes, 0 = no limit. Raises TooLarge; a range of it counts like all of it."""
    if most and size > most:
        raise TooLarge(most)


def check_range(size: int, most: int) -> None:
    """`most` bytes of the file, 0 = no limit. Raises RangeOfTooLarge."""
    if most and size > most:
        raise RangeOfTooLarge(most)


def capped(pieces: AsyncGenerator[bytes], most: int) -> AsyncGenerator[bytes]:
    """A stream of unknown length, to be broken off: raises TooLarge behind the last that fits.

    `most` bytes, 0 = no limit.
    """
    return _cut(pieces, most) if most else pieces


async def _cut(pieces: AsyncGenerator[bytes], most: int) -> AsyncGenerator[bytes]:
    length = 0
    async with aclosing(pieces):
        async for piece in pieces:
            length += len(piece)
            check(length, most)
            yield piece
