"""`pinfold get CID... [-o PATH]`: content to disk, nothing half-done left behind."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

import click

from blockstore.path import path_of_uri
from node.cli.errors import Failure
from node.cli.input.inputs import Inputs, content
from node.cli.output.destination import check_free, force_option, output_file, output_path, saved
from node.cli.output.partial_file import beside
from node.cli.output.progress import Advance, progress_bar
from node.cli.session import CommandSession, json_option, session


@click.command("get")
@click.argument("paths", metavar="CID|PATH...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="PATH", help="Where to (default: the last part of PATH).")
@force_option
@json_option
@session
def command(
    context: CommandSession, paths: tuple[str, ...], output: str | None, force: bool, as_json: bool
) -> None:
    """Write files or folders to disk. Several go into the folder that -o names."""
    place = output_path(output) if output is not None else Path()
    if len(paths) > 1 and not place.is_dir():
        raise Failure(f"{place} is not a folder: several paths need one to go into")
    inputs = Inputs("saved", len(paths))
    for path in paths:
        with inputs.one(path), progress_bar("get", None) as advance:
            target = _target(content(path), place)
            check_free(target, force)
            parts = context.rpc().download("POST", "/api/v0/get", [("arg", path)])
            if os.path.exists(target):
                save_file(parts, target, advance)
            else:
                save(parts, target, advance)
            saved(path, target, as_json)
    inputs.finish()


def _target(path: str, place: Path) -> Path:
    if not place.is_dir():
        return place
    name = path_of_uri(path).rstrip("/").rpartition("/")[2]
    if name in ("", ".", ".."):
        raise Failure(f'"{path}" ends in no name: say with -o where it is to go')
    return place / name


def save_file(parts: Iterator[bytes], target: Path, advance: Advance) -> None:
    """Write the one file of a TAR stream into a device, or over a file, whose owner and permissions stay.

    Raises Failure for anything but one file.
    """
    with _archive(parts, advance) as archive:
        member = archive.next()
        source = archive.extractfile(member) if member is not None and member.isreg() else None
        if source is None:
            raise Failure(f"this is no file: it cannot be written over or into {target}")
        with output_file(target) as file:
            shutil.copyfileobj(source, file, 1 << 20)


def save(parts: Iterator[bytes], target: Path, advance: Advance) -> None:
    """Unpack a TAR stream of one root next to `target`, then put it there in one rename.

    Raises Failure for an entry that would leave the root. A cancelled or failed call leaves nothing.
    """
    target = Path(os.path.realpath(target))  # a symlink that leads nowhere yet stays one
    target.parent.mkdir(parents=True, exist_ok=True)
    with beside(target) as root:
        with _archive(parts, advance) as archive:
            _unpack(archive, root)
        if not os.path.lexists(root):
            raise Failure("the node sent no entries")
        os.rename(root, target)


@contextmanager
def _archive(parts: Iterator[bytes], advance: Advance) -> Iterator[tarfile.TarFile]:
    try:
        stream = io.BufferedReader(_Parts(parts, advance), 1 << 20)
        with tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 20) as archive:
            yield archive
    except tarfile.TarError as error:
        raise Failure(f"what the node sent is no whole archive: {error}") from None


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
