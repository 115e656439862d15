"""What goes into an import: files, folders and symlinks, one after the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from blockstore.errors import BadEntry

_MAX_PATH_CHARACTERS = 16 * 1024

Mtime = tuple[int, int]
"""Seconds since 1970, possibly negative, and nanoseconds."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """Content that the importer reads itself, in a thread. `size` in bytes, as it was when last looked at."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file; an empty path is one without a name, which goes by its CID.

    `path` is relative to the tree's root, with "/" between names. A `body` that is an iterator gives pieces
    of any size; it is read to its end before the next entry is asked for. `mode` is twelve permission bits.
    """

    path: str
    body: AsyncIterator[bytes] | LocalFile
    mode: int | None = None
    mtime: Mtime | None = None


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """A folder. Parents of other entries need not be named: they are implied."""

    path: str
    mode: int | None = None
    mtime: Mtime | None = None


@dataclass(frozen=True, slots=True)
class SymlinkEntry:
    """A symbolic link; `target` as it is written in the link."""

    path: str
    target: str
    mtime: Mtime | None = None


Entry = FileEntry | DirectoryEntry | SymlinkEntry


def split_path(path: str) -> list[str]:
    """The names along a path; none for the empty path. Raises BadEntry where it leaves the tree."""
    if not path:
        return []
    if len(path) > _MAX_PATH_CHARACTERS:
        raise BadEntry(f'path "{path[:80]}..." has {len(path)} characters: at most {_MAX_PATH_CHARACTERS}')
    names = path.split("/")
    if any(name in ("", ".", "..") for name in names):
        raise BadEntry(f'path "{path}" has an empty name, "." or ".." in it')
    return names
