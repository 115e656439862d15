"""Local files and folders as the body of an upload: read as it is sent, never whole in memory."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlencode

from blockstore.errors import UnreadableFile
from blockstore.unixfs.entries import DirectoryEntry, Entry, FileEntry, LocalFile, SymlinkEntry
from blockstore.unixfs.local import WalkRules, walk_local
from node.cli.multipart import CONTENT_TYPE, DIRECTORY, FILE, SYMLINK, file_part, last_part
from node.cli.progress import Advance
from node.cli.stdin import StandardInput

__all__ = ["CONTENT_TYPE", "entries", "total_size", "upload_body"]

STDIN = "-"
_PIECE = 1 << 20
_ENTRIES = 256  # walked at a time: a turn of the walk's event loop costs as much as a small file


async def entries(paths: Sequence[str], rules: WalkRules, stdin_name: str) -> AsyncIterator[Entry]:
    """What `walk_local` finds under these paths, after standard input where one of them is "-"."""
    if STDIN in paths:
        yield FileEntry(stdin_name, StandardInput())
    async for entry in walk_local([path for path in paths if path != STDIN], rules):
        yield entry


def upload_body(found: AsyncIterator[Entry], *, stamps: bool, advance: Advance) -> Iterator[bytes]:
    """The multipart body, in pieces of about 1 MiB; small parts are gathered.

    `stamps` sends permissions and times along. Raises what the walk raises, UnreadableFile for a file that
    vanished or shrank into something else while it was read.
    """
    gathered = bytearray()
    for entry in _now(found):
        for piece in _part(entry, stamps, advance):
            if len(piece) == _PIECE and not gathered:
                yield piece
                continue
            gathered += piece
            if len(gathered) >= _PIECE:
                yield bytes(gathered)
                gathered.clear()
    yield bytes(gathered) + last_part()


def total_size(paths: Sequence[str], rules: WalkRules) -> int | None:
    """Bytes of all files under these paths, for the bar; None when nobody is looking or nobody can know."""
    if not sys.stderr.isatty() or STDIN in paths:
        return None
    return sum(_size(entry) for entry in _now(walk_local(paths, rules)))


def _size(entry: Entry) -> int:
    return entry.body.size if isinstance(entry, FileEntry) and isinstance(entry.body, LocalFile) else 0


def _part(entry: Entry, stamps: bool, advance: Advance) -> Iterator[bytes]:
    stamp = _stamp(entry) if stamps else ""
    if isinstance(entry, DirectoryEntry):
        yield file_part(entry.path, DIRECTORY, stamp)
    elif isinstance(entry, SymlinkEntry):
        yield file_part(entry.path, SYMLINK, stamp) + entry.target.encode(errors="surrogateescape")
    else:
        yield file_part(entry.path, FILE, stamp)
        if isinstance(entry.body, LocalFile):
            yield from _read(entry.body.path, advance)
        elif isinstance(entry.body, StandardInput):
            yield from _from_stdin(entry.body, advance)


def _read(path: str, advance: Advance) -> Iterator[bytes]:
    try:
        with Path(path).open("rb", buffering=0) as file:
            while piece := file.read(_PIECE):
                advance(len(piece))
                yield piece
    except OSError as error:
        raise UnreadableFile(path, error.strerror or str(error)) from None


def _from_stdin(source: StandardInput, advance: Advance) -> Iterator[bytes]:
    for piece in source.pieces():
        advance(len(piece))
        yield piece


def _stamp(entry: Entry) -> str:
    fields: dict[str, str] = {}
    if not isinstance(entry, SymlinkEntry) and entry.mode is not None:
        fields["mode"] = f"{entry.mode:04o}"
    if entry.mtime is not None:
        fields |= {"mtime": str(entry.mtime[0]), "mtime-nsecs": str(entry.mtime[1])}
    return urlencode(fields)


def _now(walk: AsyncIterator[Entry]) -> Iterator[Entry]:
    """The walk, outside an event loop."""
    with asyncio.Runner() as runner:
        while found := runner.run(_some(walk)):
            yield from found


async def _some(walk: AsyncIterator[Entry]) -> list[Entry]:
    found: list[Entry] = []
    async for entry in walk:
        found.append(entry)
        if len(found) == _ENTRIES:
            break
    return found
