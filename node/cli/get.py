"""`pinfold get CID [-o PATH]`: content to disk, nothing half-done left behind."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

import click

from blockstore.path import path_of_uri
from node.cli.beside import beside
from node.cli.context import Failure, Session, say, session
from node.cli.progress import Advance, progress_bar


@click.command("get")
@click.argument("path")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Where to (default: the last part of PATH)."
)
@session
def command(context: Session, path: str, output: Path | None) -> None:
    """Write a file or folder to disk."""
    target = _target(path, output)
    with progress_bar("get", None) as advance:
        parts = context.rpc().download("POST", "/api/v0/get", [("arg", path)])
        save(parts, target, advance)
    say(f"saved {target}")


def _target(path: str, output: Path | None) -> Path:
    name = path_of_uri(path).rstrip("/").rpartition("/")[2]
    target = output or Path(name)
    if target.is_dir():
        target = target / name
    if os.path.lexists(target):
        raise Failure(f"{target} exists: remove it, or choose another place with -o")
    return target


def save(parts: Iterator[bytes], target: Path, advance: Advance) -> None:
    """Unpack a TAR stream of one root next to `target`, then put it there in one rename.

    Raises Failure for an entry that would leave the root. A cancelled or failed call leaves nothing.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with beside(target) as root:
        stream = io.BufferedReader(_Parts(parts, advance), 1 << 20)
        with tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 20) as archive:
            _unpack(archive, root)
        if not os.path.lexists(root):
            raise Failure("the node sent no entries")
        os.rename(root, target)


def _unpack(archive: tarfile.TarFile, root: Path) -> None:
    links: list[tuple[Path, str]] = []
    folders: list[tuple[Path, tarfile.TarInfo]] = []
    for member in archive:
        place = _inside(root, member.name)
        if member.isdir():
            place.mkdir(exist_ok=True)
            folders.append((place, member))
        elif member.issym():
            links.append((place, member.linkname))
        elif (source := archive.extractfile(member)) is not None:
            _write(place, source, member)
    for place, link in links:  # last, so that nothing is ever written through one
        place.symlink_to(link)
    for place, member in reversed(folders):  # what is in a folder changes its time, and may need its rights
        _set_mode_and_times(place, member)


def _inside(root: Path, name: str) -> Path:
    segments = PurePosixPath(name).parts[1:]
    if ".." in segments or PurePosixPath(name).is_absolute():
        raise Failure(f'refused "{name}": it would be written outside the target')
    return root.joinpath(*segments)


def _write(place: Path, source: IO[bytes], member: tarfile.TarInfo) -> None:
    with place.open("xb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
    _set_mode_and_times(place, member)


def _set_mode_and_times(place: Path, member: tarfile.TarInfo) -> None:
    place.chmod(member.mode & 0o777)
    if member.mtime:
        os.utime(place, (member.mtime, member.mtime))


class _Parts(io.RawIOBase):
    """An iterator of bytes as a file."""

    def __init__(self, parts: Iterator[bytes], advance: Advance) -> None:
        self._parts = parts
        self._advance = advance
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # a Buffer in typeshed
        if not self._rest:
            self._rest = memoryview(next(self._parts, b""))
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        self._advance(size)
        return size
