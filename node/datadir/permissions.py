"""The data folder closed to other users of the machine, whatever it was made with."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from node.datadir.folder import DataFolder
from node.datadir.keystore import PREFIX

_OURS = (".db", "-wal", "-shm", ".json", ".key", ".toml", ".secret", ".log", ".txt", ".deny")
_OPEN = 0o077  # what others may do

_log = logging.getLogger(__name__)


def close_to_others(folder: DataFolder) -> None:
    """The folder becomes 0700 and the node's files in it 0600; symlinks lead elsewhere, and are left alone.

    What cannot be changed is logged: another owner's folder, or a disk that keeps no permissions. Files that
    are made later get these permissions by the daemon's umask.
    """
    if _is_shared(folder.root):
        _log.warning("%s is not the node's alone: other users may read what is in it", folder.root)
        return
    for path in (folder.root, *_files(folder)):
        try:
            _close(path)
        except OSError as error:
            _log.warning("%s stays open to other users: %s", path, error.strerror)


def _is_shared(root: Path) -> bool:
    """A folder such as /tmp, or the root of a file system: it is not ours to close."""
    about = root.stat()
    return bool(about.st_mode & stat.S_ISVTX) or root.resolve() == Path("/")


def _files(folder: DataFolder) -> Iterator[Path]:
    places = [folder.root]
    for inner in (folder.denylists, folder.keystore):
        if inner.is_dir() and not inner.is_symlink():
            places.append(inner)
            yield inner
    for place in places:
        yield from (Path(entry.path) for entry in os.scandir(place) if _is_ours(entry))


def _is_ours(entry: os.DirEntry[str]) -> bool:
    named = entry.name.endswith(_OURS) or entry.name == "lock" or entry.name.startswith(PREFIX)
    return named and entry.is_file(follow_symlinks=False)


def _close(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OPEN:
        path.chmod(mode & ~_OPEN)
