"""Files and folders of this machine as entries to import: what `ipfs add PATH...` walks, in its order."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from blockstore.errors import BadEntry, UnreadableFile
from blockstore.unixfs.entries import DirectoryEntry, Entry, FileEntry, LocalFile, Mtime, SymlinkEntry

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class WalkRules:
    """What is taken of a folder.

    `hidden` takes names that begin with a dot, `dereference` follows symlinks instead of keeping them,
    `ignore` leaves out names that match one of these shell patterns (with "/" at the end: folders only).
    Paths that are given by name are always taken.
    """

    recursive: bool = False
    hidden: bool = False
    dereference: bool = False
    ignore: tuple[str, ...] = ()

    def takes(self, name: str, *, folder: bool) -> bool:
        if name.startswith(".") and not self.hidden:
            return False
        return not any(_matches(name, pattern, folder=folder) for pattern in self.ignore)


def _matches(name: str, pattern: str, *, folder: bool) -> bool:
    if pattern.endswith("/"):
        return folder and fnmatchcase(name, pattern[:-1])
    return fnmatchcase(name, pattern)


async def walk_local(paths: Sequence[str], rules: WalkRules) -> AsyncIterator[Entry]:
    """Every entry under these paths, folders before what is in them, names in byte order.

    Each path goes by its last name. Raises UnreadableFile for what is not there or not readable, and BadEntry
    for a folder without `recursive`, for sockets and other special files, and for two paths of one name.
    """
    for name, path in _roots(paths):
        async for entry in _walk(name, path, rules):
            yield entry


def _roots(paths: Sequence[str]) -> list[tuple[str, str]]:
    """Name and path of each argument, by name as Kubo sorts them; the same path twice counts once."""
    roots: dict[str, str] = {}
    for path in paths:
        clean = os.path.normpath(path)
        name = os.path.basename(clean)
        if name in ("", ".", ".."):
            name = os.path.basename(os.path.abspath(clean))
        other = roots.setdefault(name, clean)
        if other != clean:
            raise BadEntry(f'"{other}" and "{clean}" would both be named "{name}": add them one by one')
    return sorted(roots.items(), key=lambda root: os.fsencode(root[0]))


@dataclass(frozen=True, slots=True)
class _Found:
    """An entry of the file system: name in the import, path, and what `stat` says."""

    name: str
    path: str
    status: os.stat_result


async def _walk(name: str, path: str, rules: WalkRules) -> AsyncIterator[Entry]:
    found = await asyncio.to_thread(_look, name, path, rules)
    if stat.S_ISDIR(found.status.st_mode) and not rules.recursive:
        raise BadEntry(f"'{path}' is a directory, use the '-r' flag to specify directories")
    stack = [[found]]
    inside: list[tuple[int, int]] = []
    while stack:
        if not stack[-1]:
            stack.pop()
            if stack:
                inside.pop()
            continue
        found = stack[-1].pop()
        yield _entry(found)
        if stat.S_ISDIR(found.status.st_mode):
            key = (found.status.st_dev, found.status.st_ino)
            if key in inside:
                raise BadEntry(f"'{found.path}' leads back into a folder it is in: symlinks form a loop")
            inside.append(key)
            stack.append(await asyncio.to_thread(_inside, found, rules))


def _look(name: str, path: str, rules: WalkRules) -> _Found:
    try:
        return _Found(name, path, os.stat(path, follow_symlinks=rules.dereference))
    except OSError as error:
        raise UnreadableFile(path, str(error.strerror)) from None


def _inside(folder: _Found, rules: WalkRules) -> list[_Found]:
    """What a folder holds, last name first."""
    found = []
    try:
        with os.scandir(folder.path) as listing:
            for item in listing:
                if rules.takes(item.name, folder=item.is_dir(follow_symlinks=False)):
                    status = item.stat(follow_symlinks=rules.dereference)
                    found.append(_Found(f"{folder.name}/{item.name}", item.path, status))
    except OSError as error:
        raise UnreadableFile(error.filename or folder.path, str(error.strerror)) from None
    return sorted(found, key=lambda item: os.fsencode(item.name), reverse=True)


def _entry(found: _Found) -> Entry:
    status = found.status
    mtime: Mtime = divmod(status.st_mtime_ns, _SECOND_NS)
    mode = status.st_mode
    if stat.S_ISREG(mode):
        return FileEntry(found.name, LocalFile(found.path, status.st_size), stat.S_IMODE(mode), mtime)
    if stat.S_ISDIR(mode):
        return DirectoryEntry(found.name, stat.S_IMODE(mode), mtime)
    if stat.S_ISLNK(mode):
        return SymlinkEntry(found.name, _target(found.path), mtime)
    raise BadEntry(f"'{found.path}' is neither a file, a folder nor a symlink ({stat.filemode(mode)})")


def _target(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError as error:
        raise UnreadableFile(path, str(error.strerror)) from None
