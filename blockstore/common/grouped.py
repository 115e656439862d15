"""Things with their sizes, in groups of bounded size."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")


def grouped(items: Iterable[tuple[T, int]], limit: int, most: int | None = None) -> Generator[list[T]]:
    """In order: sizes of at most `limit` together, or one thing, a group; of at most `most` things."""
    group: list[T] = []
    total = 0
    for item, size in items:
        if group and (total + size > limit or len(group) == most):
            yield group
            group, total = [], 0
        group.append(item)
        total += size
    if group:
        yield group
