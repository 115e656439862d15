"""Files that are there whole or not at all, and what is no plain file written into, as a shell's `>` does."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from blockstore.disk.sync import sync_path
from node.files.descriptors import descriptor_of

# Where a file may be written but not be put in another's place: one that is mounted alone, a folder that is
# another's, a disk that keeps no owners.
_NOT_REPLACEABLE = (errno.EBUSY, errno.EACCES, errno.EPERM, errno.EROFS, errno.EXDEV)
_DRAFT = ".pinfold-draft-"  # never made of the target's name: that may be as long as a name can be


def atomic_write(path: Path, data: bytes, *, durable: bool = True, mode: int = 0o600) -> None:
    """The file holds `data` from one moment to the next. See `replacing`."""
    with replacing(path, durable=durable, mode=mode) as file:
        file.write(data)


@contextmanager
def replacing(path: Path, *, durable: bool = False, mode: int = 0o600) -> Iterator[IO[bytes]]:
    """A file to write to; what was at `path` is replaced when the block ends, and kept when it fails.

    Symlinks are followed. Owner and permissions stay as they were; a new file gets `mode`. A device, a pipe
    or a descriptor (`/dev/stdout`) is written into. `durable`: on the disk before the block is left.

    Raises OSError, which names `path`.
    """
    try:
        if is_plain(path):
            with _plain(Path(os.path.realpath(path)), durable, mode) as file:
                yield file
        else:
            with _stream(path) as file:
                yield file
    except BrokenPipeError:
        raise  # nothing is wrong with the file: its reader has gone
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


def is_plain(path: Path) -> bool:
    """Whether writing there means a plain file, one that is there or a new one. Raises OSError."""
    if descriptor_of(path) is not None:
        return False
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return True


def _stream(path: Path) -> IO[bytes]:
    number = descriptor_of(path)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CLOEXEC) if number is None else os.dup(number), "wb")


@contextmanager
def _plain(target: Path, durable: bool, mode: int) -> Iterator[IO[bytes]]:
    before = _writable(target)
    draft = _draft(target, before)
    if draft is None:
        with target.open("r+b") as file:
            file.truncate()
            yield file
            _sync(file, durable)
        return
    try:
        with draft as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode if before is None else stat.S_IMODE(before.st_mode))
            _sync(file, durable)
        _put(Path(draft.name), target, before, durable)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(draft.name)


def _writable(target: Path) -> os.stat_result | None:
    """What is there; None for nothing. Raises PermissionError where its owner wants it unchanged."""
    try:
        before = os.stat(target)
    except FileNotFoundError:
        return None
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    return before


def _draft(target: Path, before: os.stat_result | None) -> IO[bytes] | None:
    """A new file beside the target, of the same owner readable by that owner only; None where none can be."""
    try:
        draft = tempfile.NamedTemporaryFile(dir=target.parent, prefix=_DRAFT, delete=False)  # noqa: SIM115 - the caller closes it
    except OSError as error:
        if before is not None and error.errno in _NOT_REPLACEABLE:
            return None
        raise
    try:
        if before is not None:
            _keep_owner(draft.fileno(), before)
    except OSError as error:
        draft.close()
        os.unlink(draft.name)
        if error.errno in _NOT_REPLACEABLE:
            return None
        raise
    return draft


def _keep_owner(descriptor: int, before: os.stat_result) -> None:
    made = os.fstat(descriptor)
    if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid):
        os.fchown(descriptor, before.st_uid, before.st_gid)


def _put(draft: Path, target: Path, before: os.stat_result | None, durable: bool) -> None:
    try:
        os.replace(draft, target)
    except OSError as error:
        if before is None or error.errno not in _NOT_REPLACEABLE:
            raise
        with draft.open("rb") as source, target.open("r+b") as file:
            file.truncate()
            shutil.copyfileobj(source, file)
            _sync(file, durable)
        return
    if durable:
        sync_path(target.parent)


def _sync(file: IO[bytes], durable: bool) -> None:
    file.flush()
    if durable:
        os.fsync(file.fileno())
