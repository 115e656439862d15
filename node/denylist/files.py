"""`*.deny` files: read when the node starts, and again when they change. What is appended is read alone."""

from __future__ import annotations

import asyncio
import codecs
import hashlib
import logging
import os
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from blockstore.common.guard import Guard
from blockstore.common.tasks import open_tasks
from blockstore.common.text_file import BadText, decode_text
from cluster.common.loops import steadily
from node.denylist.denylist import Denylist, RuleSet
from node.denylist.errors import BadDenylist, BadRule
from node.denylist.rules import MAX_HEADER, MAX_LINE, header_is_legal, parse_rule

DISABLED = "IPFS_CONTENT_BLOCKING_DISABLE"
_INTERVAL = 2.0  # seconds between looks at the files
_SETTLED = 2.0  # seconds without a write, after which a last line without a line end counts
_PIECE = 1 << 20
_TOLD = 10  # bad lines of one reading that are logged
_OTHER_ENCODINGS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"\0\0\xfe\xff")
_HEADER_END = re.compile(rb"^---\r*(?:\n|\Z)", re.MULTILINE)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class ListFile:
    """One file as far as it has been read: whole lines up to `end`, and the digest of them."""

    path: Path
    rules: RuleSet
    legal: bool
    end: int = 0
    digest: bytes = b""
    modified: int = 0  # nanoseconds, as the file system has it

    @classmethod
    def read(cls, path: Path) -> ListFile:
        """Raises BadDenylist."""
        try:
            with path.open("rb") as file:
                found = cls(path, RuleSet(), header_is_legal(_header(file)))
                found._take(file)
        except (OSError, BadRule, BadText) as error:
            raise BadDenylist(f"the denylist {path} cannot be read: {error}") from None
        return found

    def refreshed(self) -> ListFile:
        """This one with what was appended, or another where the file was rewritten. Raises BadDenylist."""
        try:
            with self.path.open("rb") as file:
                stat = os.fstat(file.fileno())
                if (stat.st_size, stat.st_mtime_ns) == (self.end, self.modified):
                    return self
                if _digest(file, self.end) == self.digest:
                    self._take(file)
                    return self
        except OSError as error:
            raise BadDenylist(f"the denylist {self.path} cannot be read: {error}") from None
        return ListFile.read(self.path)

    def _take(self, file: BinaryIO) -> None:
        bad = 0
        self.modified = os.fstat(file.fileno()).st_mtime_ns
        settled = time.time() - self.modified / 1e9 > _SETTLED
        for line in _lines(file, settled):
            try:
                rule = parse_rule(line.decode(), self.legal)
            except ValueError as error:
                bad += 1
                if bad <= _TOLD:
                    _log.warning("%s: a line is passed over: %s", self.path, error)
                continue
            if rule is not None:
                self.rules.add(rule)
        self.end = file.tell()
        self.digest = _digest(file, self.end)
        if bad > _TOLD:
            _log.warning("%s: %d more lines are passed over", self.path, bad - _TOLD)


class Files:
    """Every list in the folders, in order of the folders and then of the names."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._files: dict[Path, ListFile] = {}
        self.rule_sets: tuple[RuleSet, ...] = ()
        self.version = 0
        self._read: dict[Path, tuple[int, int]] = {}
        self._troubles: dict[Path, str] = {}

    def load(self) -> None:
        """Read everything. Raises BadDenylist."""
        self._set({path: ListFile.read(path) for path in self._paths()})

    def refresh(self) -> None:
        """Take up what changed. A list that cannot be read any more stays in force as it was."""
        files, troubles = {}, {}
        for path in self._paths():
            before = self._files.get(path)
            try:
                files[path] = before.refreshed() if before is not None else ListFile.read(path)
            except BadDenylist as error:
                troubles[path] = str(error)
                if before is not None:
                    files[path] = before
        self._tell(troubles)
        self._set(files)

    def _tell(self, troubles: dict[Path, str]) -> None:
        """Each trouble once, for as long as it lasts."""
        for path, trouble in troubles.items():
            if trouble != self._troubles.get(path):
                _log.warning("%s", trouble)
        self._troubles = troubles

    def _paths(self) -> Iterator[Path]:
        for folder in self._folders:
            yield from sorted(path for path in folder.rglob("*.deny") if path.is_file())

    def _set(self, files: dict[Path, ListFile]) -> None:
        self._files = files
        self.rule_sets = tuple(file.rules for file in files.values())
        read = {path: (file.modified, file.end) for path, file in files.items()}
        if read != self._read:
            self._read = read
            self.version += 1


def denylist_folders(own: Path, environment: Mapping[str, str] = os.environ) -> list[Path]:
    """The data folder's, the user's and the system's, as in Kubo; none where blocking is switched off."""
    if environment.get(DISABLED, "").lower() in ("true", "1"):
        return []
    user = environment.get("XDG_CONFIG_HOME") or str(
        Path(environment.get("HOME", "~")).expanduser() / ".config"
    )
    system = (environment.get("XDG_CONFIG_DIRS") or "/etc").split(":")
    return [own, *(Path(folder) / "ipfs" / "denylists" for folder in (user, *system))]


@asynccontextmanager
async def open_denylist(
    folders: Sequence[Path], guard: Guard | None = None, interval: float = _INTERVAL
) -> AsyncIterator[Denylist]:
    """The lists of those folders, followed for as long as the block lasts. Raises BadDenylist.

    Unforeseen errors while following them are `guard`'s to count; the lists stay in force as they were.
    """
    files = Files(folders)
    await asyncio.to_thread(files.load)
    if not folders:
        yield Denylist(lambda: ())
        return
    async with open_tasks() as tasks:
        look = partial(_follow, files, interval)
        tasks.spawn(steadily(guard or Guard(), "following", "the denylists", look))
        yield Denylist(lambda: files.rule_sets, lambda: files.version)


async def _follow(files: Files, interval: float) -> None:
    await asyncio.sleep(interval)
    await asyncio.to_thread(files.refresh)


def _header(file: BinaryIO) -> str:
    """What stands before the line `---`; empty, and the file at its first line again, where there is none.

    Raises BadText for another encoding than UTF-8: each of its lines would be passed over as a bad one.
    """
    head = file.read(MAX_HEADER)
    if head.startswith(_OTHER_ENCODINGS):
        decode_text(head)
    end = _HEADER_END.search(head)
    first = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    file.seek(end.end() if end else first)
    return head[first : end.start()].decode(errors="replace") if end else ""


def _lines(file: BinaryIO, settled: bool) -> Iterator[bytes]:
    """Whole lines; the file stands behind the last of them. A line that is too long is one bad byte."""
    while line := file.readline(MAX_LINE + 1):
        if not line.endswith(b"\n"):
            if len(line) <= MAX_LINE and not settled:
                file.seek(-len(line), os.SEEK_CUR)  # it is still being written
                return
            if len(line) > MAX_LINE:
                _skip_line(file)
                line = b"\xff"
        yield line


def _skip_line(file: BinaryIO) -> None:
    while (rest := file.readline(MAX_LINE)) and not rest.endswith(b"\n"):
        continue


def _digest(file: BinaryIO, size: int) -> bytes:
    """Of the first `size` bytes, behind which the file then stands."""
    digest = hashlib.sha256()
    file.seek(0)
    while size > 0 and (piece := file.read(min(size, _PIECE))):
        digest.update(piece)
        size -= len(piece)
    return digest.digest()
