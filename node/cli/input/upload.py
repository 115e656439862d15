"""Local files and folders as the body of an upload: read as it is sent, never whole in memory."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlencode

from blockstore.errors import BadEntry, BlockstoreError, UnreadableFile
from blockstore.unixfs.importing.entries import Entry, LocalFile, SourceDirectory, SourceFile, SourceSymlink
from blockstore.unixfs.local.walk import WalkRules, walk_local
from node.cli.input.byte_stream import PipedContent, is_stream, named_streams
from node.cli.input.handover import LEAST, Handover
from node.cli.input.multipart import CONTENT_TYPE, DIRECTORY, FILE, SYMLINK, file_part, last_part
from node.cli.input.upload_progress import UploadProgress
from node.cli.output.progress import Advance

__all__ = ["CONTENT_TYPE", "check_readable", "entries", "total_size", "unreadable", "upload_body"]

_PIECE = 1 << 20
_ENTRIES = 256  # walked at a time: a turn of the walk's event loop costs as much as a small file


async def entries(paths: Sequence[str], rules: WalkRules, stdin_name: str) -> AsyncIterator[Entry]:
    """What `walk_local` finds under these paths, after the streams among them."""
    for name, stream in named_streams([path for path in paths if is_stream(path)], stdin_name):
        yield SourceFile(name, stream)
    async for entry in walk_local([path for path in paths if not is_stream(path)], rules):
        yield entry


def unreadable(path: str, rules: WalkRules) -> BlockstoreError | None:
    """Why what is at this path cannot be added, as far as that shows without reading it."""
    try:
        for entry in () if is_stream(path) else _now(walk_local([path], rules)):
            if isinstance(entry, SourceFile) and isinstance(entry.body, LocalFile):
                check_readable(entry.body.path)
    except (BadEntry, UnreadableFile) as error:
        return error
    return None


def check_readable(path: str) -> None:
    """Raises UnreadableFile."""
    if not os.access(path, os.R_OK):
        raise UnreadableFile(path, os.strerror(errno.EACCES))


def upload_body(
    found: AsyncIterator[Entry], *, stamps: bool, progress: UploadProgress, handover: Handover | None
) -> Iterator[bytes]:
    """The multipart body, in pieces of about 1 MiB; small parts are gathered.

    `stamps` sends permissions and times along. Large files are handed over where that is possible. Raises
    what the walk raises, UnreadableFile for a file that vanished or shrank into something else while it was
    read.
    """
    gathered = bytearray()
    for entry in _now(found):
        if handover is not None and (local := _large_file(entry)):
            # At once: the daemon takes no more files until it has seen the parts of those before.
            yield bytes(gathered) + _handed_part(entry, local, stamps, progress, handover)
            gathered.clear()
            continue
        for piece in _part(entry, stamps, progress.sent):
            if len(piece) == _PIECE and not gathered:
                yield piece
                continue
            gathered += piece
            if len(gathered) >= _PIECE:
                yield bytes(gathered)
                gathered.clear()
    yield bytes(gathered) + last_part()


def _large_file(entry: Entry) -> LocalFile | None:
    local = entry.body if isinstance(entry, SourceFile) and isinstance(entry.body, LocalFile) else None
    return local if local is not None and local.size >= LEAST else None


def _handed_part(
    entry: Entry, local: LocalFile, stamps: bool, progress: UploadProgress, handover: Handover
) -> bytes:
    ticket = handover.give(local.path)
    progress.handed_over(entry.path, local.size)
    return file_part(entry.path, FILE, _stamp(entry) if stamps else "", ticket)


def total_size(paths: Sequence[str], rules: WalkRules) -> int | None:
    """Bytes of all files under these paths; None where a stream is among them."""
    if any(map(is_stream, paths)):
        return None
    return sum(_size(entry) for entry in _now(walk_local(paths, rules)))


def _size(entry: Entry) -> int:
    return entry.body.size if isinstance(entry, SourceFile) and isinstance(entry.body, LocalFile) else 0


def _part(entry: Entry, stamps: bool, advance: Advance) -> Iterator[bytes]:
    stamp = _stamp(entry) if stamps else ""
    if isinstance(entry, SourceDirectory):
        yield file_part(entry.path, DIRECTORY, stamp)
    elif isinstance(entry, SourceSymlink):
        yield file_part(entry.path, SYMLINK, stamp) + entry.target.encode(errors="surrogateescape")
    else:
        yield file_part(entry.path, FILE, stamp)
        if isinstance(entry.body, LocalFile):
            yield from _read(entry.body.path, advance)
        elif isinstance(entry.body, PipedContent):
            yield from _streamed(entry.body, advance)


def _read(path: str, advance: Advance) -> Iterator[bytes]:
    try:
        with Path(path).open("rb", buffering=0) as file:
            while piece := file.read(_PIECE):
                advance(len(piece))
                yield piece
    except OSError as error:
        raise UnreadableFile(path, error.strerror or str(error)) from None


def _streamed(source: PipedContent, advance: Advance) -> Iterator[bytes]:
    for piece in source.pieces():
        advance(len(piece))
        yield piece


def _stamp(entry: Entry) -> str:
    fields: dict[str, str] = {}
    if not isinstance(entry, SourceSymlink) and entry.mode is not None:
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
