"""What goes into an import: files, folders and symlinks, one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import FileIO

from blockstore.errors import BadEntry

MAX_LEVELS = 256
"""Names along a path in a tree that is added; what is added can be read back, on every way."""

_MAX_PATH_BYTES = 4096  # what file systems take, so that a tree can be saved as one

Mtime = tuple[int, int]
"""Seconds since 1970, possibly negative, and nanoseconds."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """Content that the importer reads itself, in a thread. `size` in bytes, as it was when last looked at.

    `opened` is the file where another program has opened it: `path` says only how to call it then. The
    importer closes it when it has read it.
    """

    path: str
    size: int
    opened: FileIO | None = None


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file; an empty path is one without a name, which goes by its CID.

    `path` is relative to the tree's root, with "/" between names. A `body` that is an iterator gives pieces
    of any size; it is read to its end before the next entry is asked for. `mode` is twelve permission bits.
    """

    path: str
    body: AsyncIterator[bytes] | LocalFile
    mode: int | None = None
    mtime: Mtime | None = None


@dataclass(frozen=True, slots=True)
class SourceDirectory:
    """A folder. Parents of other entries need not be named: they are implied."""

    path: str
    mode: int | None = None
    mtime: Mtime | None = None


@dataclass(frozen=True, slots=True)
class SourceSymlink:
    """A symbolic link; `target` as it is written in the link."""

    path: str
    target: str
    mtime: Mtime | None = None


Entry = SourceFile | SourceDirectory | SourceSymlink


def split_path(path: str) -> list[str]:
    """The names along a path; none for the empty path. Raises BadEntry where it leaves the tree."""
    if not path:
        return []
    size = len(path.encode("utf-8", "surrogateescape"))
    if size > _MAX_PATH_BYTES:
        raise BadEntry(f'path "{path[:80]}…" is {size} bytes long: at most {_MAX_PATH_BYTES}')
    names = path.split("/")
    if len(names) > MAX_LEVELS:
        raise BadEntry(
            f'path "{path[:80]}…" is {len(names)} levels deep: at most {MAX_LEVELS} can be read back. '
            "Pack what lies so deep into an archive, or add a folder further down on its own"
        )
    if any(name in ("", ".", "..") for name in names):
        raise BadEntry(f'path "{path}" has an empty name, "." or ".." in it')
    return names
