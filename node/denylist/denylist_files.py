"""The `*.deny` files of some folders: read when the node starts, and again when they change."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from blockstore.common.guard import Guard
from blockstore.common.tasks import open_tasks
from cluster.common.loops import steadily
from node.denylist.denylist import Denylist, RuleSet
from node.denylist.denylist_file import DenylistFile
from node.denylist.errors import BadDenylist

DISABLED = "IPFS_CONTENT_BLOCKING_DISABLE"
_INTERVAL = 2.0  # seconds between looks at the files

_log = logging.getLogger(__name__)


class DenylistFiles:
    """Every list in the folders, in order of the folders and then of the names."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._files: dict[Path, DenylistFile] = {}
        self.rule_sets: tuple[RuleSet, ...] = ()
        self.version = 0
        self._read: dict[Path, tuple[int, int]] = {}
        self._troubles: dict[Path, str] = {}

    def load(self) -> None:
        """Read everything. Raises BadDenylist."""
        self._set({path: DenylistFile.read(path) for path in self._paths()})

    def refresh(self) -> None:
        """Take up what changed. A list that cannot be read any more stays in force as it was."""
        files, troubles = {}, {}
        for path in self._paths():
            before = self._files.get(path)
            try:
                files[path] = before.refreshed() if before is not None else DenylistFile.read(path)
            except BadDenylist as error:
                troubles[path] = str(error)
                if before is not None:
                    files[path] = before
        self._log_once(troubles)
        self._set(files)

    def _log_once(self, troubles: dict[Path, str]) -> None:
        """Each trouble once, for as long as it lasts."""
        for path, trouble in troubles.items():
            if trouble != self._troubles.get(path):
                _log.warning("%s", trouble)
        self._troubles = troubles

    def _paths(self) -> Iterator[Path]:
        for folder in self._folders:
            yield from sorted(path for path in folder.rglob("*.deny") if path.is_file())

    def _set(self, files: dict[Path, DenylistFile]) -> None:
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
    files = DenylistFiles(folders)
    await asyncio.to_thread(files.load)
    if not folders:
        yield Denylist(lambda: ())
        return
    async with open_tasks() as tasks:
        look = partial(_follow, files, interval)
        tasks.spawn(steadily(guard or Guard(), "following", "the denylists", look))
        yield Denylist(lambda: files.rule_sets, lambda: files.version)


async def _follow(files: DenylistFiles, interval: float) -> None:
    await asyncio.sleep(interval)
    await asyncio.to_thread(files.refresh)
