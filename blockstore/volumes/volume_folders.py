"""The folders that volumes lie in, one a disk, and which volume lies where."""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from blockstore.disk.free_space import disk_free
from blockstore.errors import StorageFull

MARKER = "pinfold-volumes"
"""A file in every folder: where it is missing, the disk that belongs there is not mounted."""

_NAME = re.compile(r"([0-9]{8})\.vol")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VolumeFolder:
    """One that is there. `marker` is what its marker says: which folder it is, wherever it is mounted."""

    path: Path
    marker: str


class VolumeFolders:
    """What lay where at the start, and what was made since. From any thread."""

    def __init__(self, folders: Sequence[VolumeFolder]) -> None:
        self.folders = tuple(folders)
        self._places: dict[int, Path] = {}  # the folder of each volume
        for folder in self.folders:
            self._list(folder.path)

    def __repr__(self) -> str:
        return f"<VolumeFolders {[str(folder.path) for folder in self.folders]}>"

    def __contains__(self, number: int) -> bool:
        return number in self._places

    def numbers(self) -> Set[int]:
        """Of all volume files that are here."""
        return self._places.keys()

    def path(self, number: int) -> Path:
        """Raises FileNotFoundError."""
        try:
            return self._places[number] / _file_name(number)
        except KeyError:
            raise FileNotFoundError(f"volume {number} is in none of {self!r}") from None

    def new(self, number: int) -> Path:
        """Where a volume of that number would be made: the disk with the most room. Raises StorageFull."""
        folder = max(self.folders, key=lambda folder: disk_free(folder.path), default=None)
        if folder is None:
            raise StorageFull("none of the folders for blocks is there: see storage.folders")
        return folder.path / _file_name(number)

    def free(self) -> int:
        """Bytes that may still be written to all disks together."""
        disks = {os.stat(folder.path).st_dev: folder.path for folder in self.folders}
        return sum(disk_free(path) for path in disks.values())

    def add(self, number: int, path: Path) -> None:
        self._places[number] = path.parent

    def held(self) -> int:
        """Bytes that the disks give to all volumes: a call of the system each."""
        size = 0
        for number, folder in tuple(self._places.items()):
            with suppress(OSError):  # its disk is away, or it was removed just now
                size += os.stat(folder / _file_name(number)).st_blocks * 512
        return size

    def forget(self, number: int) -> None:
        self._places.pop(number, None)

    def _list(self, folder: Path) -> None:
        for name in os.listdir(folder):
            if match := _NAME.fullmatch(name):
                first = self._places.setdefault(int(match[1]), folder)
                if first is not folder:
                    _log.warning("%s is passed over: %s has one of its number", folder / name, first)


def open_folders(main: Path, others: Sequence[Path]) -> VolumeFolders:
    """Those that are there; the first is made where it is not.

    One that is away is told, and no error. Raises OSError for the first.
    """
    main.mkdir(mode=0o700, exist_ok=True)
    marker, known = _read_marker(main)
    marker = marker or secrets.token_hex(16)
    there = [found for path in others if (found := _other(path, known.get(str(path)))) is not None]
    used = known | {str(folder.path): folder.marker for folder in there}
    if used != known or not (main / MARKER).exists():
        _write_marker(main, marker, used)
    return VolumeFolders([VolumeFolder(main, marker), *there])


def _other(path: Path, known: str | None) -> VolumeFolder | None:
    """A folder that is new here, or the one that was known; None where that is away."""
    try:
        marker, _ = _read_marker(path)
        if not marker and known is None:
            marker = secrets.token_hex(16)
            _write_marker(path, marker, {})
    except OSError as error:
        _log.error("the blocks in %s are away, and count as missing until they come again: %s", path, error)
        return None
    if marker and known in (None, marker):
        return VolumeFolder(path, marker)
    _log.error("the blocks in %s are away: it is not the folder that was there; is its disk mounted?", path)
    return None


def _file_name(number: int) -> str:
    return f"{number:08}.vol"


def _read_marker(folder: Path) -> tuple[str, dict[str, str]]:
    """Its own marker, "" where it has none; and in the main folder those of others, by path."""
    try:
        lines = (folder / MARKER).read_text("utf-8", "surrogateescape").splitlines()
    except FileNotFoundError:
        os.stat(folder)
        return "", {}
    others = [line.partition(" ") for line in lines[1:]]
    return lines[0].strip() if lines else "", {path: marker for marker, _, path in others}


def _write_marker(folder: Path, marker: str, others: Mapping[str, str]) -> None:
    """One line for the folder, then one for each other."""
    lines = [marker, *(f"{other} {path}" for path, other in others.items())]
    new = folder / f"{MARKER}.new"
    new.write_text("".join(line + "\n" for line in lines), "utf-8", "surrogateescape")
    new.replace(folder / MARKER)
