"""Files and folders of this machine as entries to import: what `ipfs add PATH...` walks, in its order."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from blockstore.errors import BadEntry, UnreadableFile
from blockstore.unixfs.importing.entries import (
    Entry,
    LocalFile,
    Mtime,
    SourceDirectory,
    SourceFile,
    SourceSymlink,
    split_path,
)
from blockstore.unixfs.local.ignore import FOLDER_FILE, NO_RULES, IgnoreRules, seen_from

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class WalkRules:
    """What is taken of a folder.

    `hidden` takes names that begin with a dot, `dereference` follows symlinks instead of keeping them.
    `patterns` are meant from where the user is: one that begins with the path of a folder, as it was named,
    goes on below that folder. `ignore` stands at each folder that is named. Both decide before the
    `.ipfsignore` files of `folder_files`, of which the innermost decides first. Paths that are given by name
    are always taken.
    """

    recursive: bool = False
    hidden: bool = False
    dereference: bool = False
    ignore: IgnoreRules = NO_RULES
    patterns: tuple[str, ...] = ()
    folder_files: bool = True


@dataclass(frozen=True, slots=True)
class _Scope:
    """Rules and the folder they stand at, as names in the import."""

    folder: str
    rules: IgnoreRules

    def leave_out(self, name: str, *, folder: bool) -> bool | None:
        return self.rules.leave_out(name[len(self.folder) + 1 :], folder=folder)


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
        if not path:  # a variable of a shell that is not set: the working directory is not meant
            raise UnreadableFile(path, os.strerror(errno.ENOENT))
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
    scopes = (_Scope(name, rules.ignore + IgnoreRules.of_patterns(seen_from(path, rules.patterns))),)
    stack = [_LocalFolder([found], (0, 0), scopes)]
    while stack:
        if not stack[-1].left:
            stack.pop()
            continue
        found = stack[-1].left.pop()
        split_path(found.name)  # what could not be read back is refused before it is opened
        yield _entry(found)
        if stat.S_ISDIR(found.status.st_mode):
            key = (found.status.st_dev, found.status.st_ino)
            if any(key == folder.key for folder in stack):
                raise BadEntry(f"'{found.path}' leads back into a folder it is in: symlinks form a loop")
            stack.append(await asyncio.to_thread(_inside, found, rules, stack[-1].scopes))


@dataclass(frozen=True, slots=True)
class _LocalFolder:
    """A folder that is being walked: what is left of it, last name first, and the rules that hold in it."""

    left: list[_Found]
    key: tuple[int, int]
    scopes: tuple[_Scope, ...]


def _look(name: str, path: str, rules: WalkRules) -> _Found:
    try:
        return _Found(name, path, os.stat(path, follow_symlinks=rules.dereference))
    except OSError as error:
        raise UnreadableFile(path, str(error.strerror)) from None


def _inside(folder: _Found, rules: WalkRules, scopes: tuple[_Scope, ...]) -> _LocalFolder:
    found = []
    try:
        with os.scandir(folder.path) as listing:
            items = list(listing)
        if rules.folder_files and any(item.name == FOLDER_FILE for item in items):
            own = _Scope(folder.name, IgnoreRules.of_file(os.path.join(folder.path, FOLDER_FILE)))
            scopes = (scopes[0], own, *scopes[1:])
        for item in items:
            name = f"{folder.name}/{item.name}"
            is_folder = item.is_dir(follow_symlinks=rules.dereference)
            if _takes(item.name, name, is_folder, rules, scopes):
                found.append(_Found(name, item.path, item.stat(follow_symlinks=rules.dereference)))
    except OSError as error:
        raise UnreadableFile(error.filename or folder.path, str(error.strerror)) from None
    found.sort(key=lambda item: os.fsencode(item.name), reverse=True)
    return _LocalFolder(found, (folder.status.st_dev, folder.status.st_ino), scopes)


def _takes(last: str, name: str, is_folder: bool, rules: WalkRules, scopes: tuple[_Scope, ...]) -> bool:
    if last.startswith(".") and not rules.hidden:
        return False
    verdicts = (scope.leave_out(name, folder=is_folder) for scope in scopes)
    return not next((verdict for verdict in verdicts if verdict is not None), False)


def _entry(found: _Found) -> Entry:
    status = found.status
    mtime: Mtime = divmod(status.st_mtime_ns, _SECOND_NS)
    mode = status.st_mode
    if stat.S_ISREG(mode):
        return SourceFile(found.name, LocalFile(found.path, status.st_size), stat.S_IMODE(mode), mtime)
    if stat.S_ISDIR(mode):
        return SourceDirectory(found.name, stat.S_IMODE(mode), mtime)
    if stat.S_ISLNK(mode):
        return SourceSymlink(found.name, _target(found.path), mtime)
    raise BadEntry(f"'{found.path}' is neither a file, a folder nor a symlink ({stat.filemode(mode)})")


def _target(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError as error:
        raise UnreadableFile(path, str(error.strerror)) from None
