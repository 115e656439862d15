"""A disk that remembers what was done to it, and what of that a power failure may leave at any moment.

Between two syncs of a file a disk may keep any part of what was written, in any order; a name is safe once
its folder was synced. SQLite is taken at its word: after a failure its file is as after one of the commits
since it was last synced.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from blockstore.sqlite import database, file_pages
from blockstore.volumes.volume_disk import OsDisk

_PAGE = 4096


@dataclass(frozen=True)
class Step:
    """`kind`: create, write, sync, sync_folder, cut, punch, remove, commit, index_sync, or note."""

    kind: str
    name: str = ""
    start: int = 0
    size: int = 0
    data: bytes = b""
    files: tuple[tuple[str, bytes], ...] = ()
    note: object = None


@dataclass
class History:
    """All that was done, in order."""

    steps: list[Step] = field(default_factory=list)

    def note(self, what: object) -> None:
        self.steps.append(Step("note", note=what))


class RecordingDisk(OsDisk):
    """Does it, and remembers it."""

    def __init__(self, history: History, *, punching: bool = True) -> None:
        self.history = history
        self._punching = punching
        self._names: dict[int, str] = {}

    def create(self, path: Path) -> int:
        file = super().create(path)
        self._names[file] = path.name
        self._add(Step("create", path.name))
        return file

    def open(self, path: Path) -> int:
        file = super().open(path)
        self._names[file] = path.name
        return file

    def append(self, file: int, parts: Sequence[bytes], start: int) -> None:
        super().append(file, parts, start)
        self._add(Step("write", self._names[file], start, data=b"".join(parts)))

    def sync(self, file: int) -> None:
        super().sync(file)
        self._add(Step("sync", self._names[file]))

    def sync_folder(self, folder: Path) -> None:
        super().sync_folder(folder)
        self._add(Step("sync_folder"))

    def cut(self, file: int, size: int) -> None:
        super().cut(file, size)
        self._add(Step("cut", self._names[file], size=size))

    def can_punch(self, folder: Path) -> bool:
        return self._punching

    def punch(self, file: int, start: int, size: int) -> None:
        super().punch(file, start, size)
        self._add(Step("punch", self._names[file], start, size))

    def remove(self, path: Path) -> None:
        super().remove(path)
        self._add(Step("remove", path.name))

    def _add(self, step: Step) -> None:
        self.history.steps.append(step)


@contextmanager
def commits_recorded(path: Path, history: History, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """White box: the file is kept as it is after each commit, and its syncs are noted."""
    commit: Callable[..., None] = database._transaction  # white box: nothing else sees each commit
    sync = file_pages.sync

    def recorded(connection: sqlite3.Connection, *args: object, **kwargs: object) -> None:
        commit(connection, *args, **kwargs)
        files = [path, path.with_name(path.name + "-wal")]
        history.steps.append(Step("commit", files=tuple((file.name, file.read_bytes()) for file in files)))

    def synced(target: Path) -> None:
        sync(target)
        history.steps.append(Step("index_sync"))

    with monkeypatch.context() as patch:
        patch.setattr(database, "_transaction", recorded)  # white box: as above
        patch.setattr(file_pages, "sync", synced)  # white box: as above
        yield


@dataclass
class _File:
    """`safe` is what is on the disk for certain, `since` what may be."""

    safe: bytes = b""
    since: list[Step] = field(default_factory=list)
    named: bool = False
    removed: bool = False

    def after(self, keep: Callable[[], bool], pages: Callable[[], bool]) -> bytes:
        data = bytearray(self.safe)
        for step in self.since:
            if step.kind == "write":
                _write(data, step, keep, pages)
            elif step.kind == "cut" and keep():
                del data[step.size :]
            elif step.kind == "punch" and keep():
                end = min(len(data), step.start + step.size)
                data[step.start : end] = bytes(max(0, end - step.start))
        return bytes(data)


def _write(data: bytearray, step: Step, keep: Callable[[], bool], pages: Callable[[], bool]) -> None:
    if not keep():
        return
    for offset in range(0, len(step.data), _PAGE):
        if pages():
            part = step.data[offset : offset + _PAGE]
            start = step.start + offset
            if len(data) < start + len(part):
                data.extend(bytes(start + len(part) - len(data)))
            data[start : start + len(part)] = part


def left_after(steps: Sequence[Step], folder: Path, chance: Random, how: str) -> None:
    """What a failure after these steps leaves: `all` of it, only what is `safe`, or `some` of the rest."""

    def keep() -> bool:
        return how == "all" or (how == "some" and chance.random() < 0.6)

    def pages() -> bool:
        return how == "all" or chance.random() < 0.8

    (folder / "volumes").mkdir(parents=True)
    for name, file in _files(steps).items():
        is_there = file.named if not keep() else True
        is_gone = file.removed and keep()
        if is_there and not is_gone:
            (folder / "volumes" / name).write_bytes(file.after(keep, pages))
    for name, data in _index(steps, chance, how):
        (folder / name).write_bytes(data)


def _files(steps: Sequence[Step]) -> dict[str, _File]:
    files: dict[str, _File] = {}
    for step in steps:
        if step.kind == "create":
            files[step.name] = _File()
        elif step.kind == "sync_folder":
            files = {name: file for name, file in files.items() if not file.removed}
            for file in files.values():
                file.named = True
        elif step.name not in files:
            continue
        elif step.kind == "sync":
            file = files[step.name]
            file.safe = file.after(lambda: True, lambda: True)
            file.since = []
        elif step.kind == "remove":
            files[step.name].removed = True
        else:
            files[step.name].since.append(step)
    return files


def _index(steps: Sequence[Step], chance: Random, how: str) -> tuple[tuple[str, bytes], ...]:
    commits = [number for number, step in enumerate(steps) if step.kind == "commit"]
    synced = max([number for number, step in enumerate(steps) if step.kind == "index_sync"], default=-1)
    safe = max([number for number in commits if number < synced], default=None)
    possible = [number for number in commits if safe is None or number >= safe]
    if not possible:
        return ()
    chosen = {"all": possible[-1], "safe": possible[0], "some": chance.choice(possible)}[how]
    return steps[chosen].files
