"""Progress bars on stderr, where a person is looking; nothing in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from node.unicode_safety import spelled

Advance = Callable[[int], None]


def is_watched() -> bool:
    """Whether a person may be looking: progress is shown there, and nowhere else."""
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def progress_bar(what: str, total: int | None, *, hidden: bool = False) -> Iterator[Advance]:
    """A bar in bytes for the length of the block; yields the function that moves it on."""
    if hidden or not is_watched():
        yield lambda size: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(spelled(what), total=total)
        yield lambda size: bar.advance(task, size)


@contextmanager
def line_progress(
    what: str, total: int | None, *, hidden: bool = False
) -> Iterator[Callable[[int, int], None]]:
    """A bar for lines, with their rate and the time that is left of `total` units (None: it is not known).

    Yields the function that moves it on, by lines and units, such as bytes of a file.
    """
    if hidden or not is_watched():
        yield lambda lines, size: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    told = TextColumn("{task.fields[lines]:,} lines, {task.fields[rate]:,.0f}/s", markup=False)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), told, TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(spelled(what), total=total, lines=0, rate=0.0)
        seen, began = 0, time.monotonic()

        def advance(lines: int, size: int) -> None:
            nonlocal seen
            seen += lines
            bar.update(task, advance=size, lines=seen, rate=seen / max(time.monotonic() - began, 1e-3))

        yield advance


@contextmanager
def told_progress(*, hidden: bool = False) -> Iterator[Callable[[str], None]]:
    """One line that says how far it is, for the length of the block; yields the function that changes it."""
    if hidden or not is_watched():
        yield lambda text: None
        return
    from rich.console import Console

    with Console(stderr=True).status("") as line:
        yield lambda text: line.update(spelled(text))


def human_bytes(size: float) -> str:
    """1536 -> "1.5 KiB"."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def duration(seconds: int) -> str:
    """3900 -> "1 h 5 min"."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else f"{seconds} s"
