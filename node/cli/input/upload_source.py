"""The files, folders and streams that one call of `pinfold add` names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from blockstore.unixfs.importing.entries import Entry
from blockstore.unixfs.local.walk import WalkRules
from node.cli.input.inputs import Inputs
from node.cli.input.upload import entries, total_size, unreadable


@dataclass(frozen=True, slots=True)
class UploadSource:
    """`stdin_name`: what standard input is called among the entries."""

    paths: tuple[str, ...]
    rules: WalkRules
    stdin_name: str

    def entries(self) -> AsyncIterator[Entry]:
        return entries(self.paths, self.rules, self.stdin_name)

    def without_unreadable(self, inputs: Inputs) -> UploadSource:
        """Where there are several paths, those that can be read; the others are reported, one by one."""
        if len(self.paths) < 2:
            return self
        troubles = {path: unreadable(path, self.rules) for path in dict.fromkeys(self.paths)}
        for path, trouble in troubles.items():
            if trouble is not None:
                inputs.failed(path, trouble)
        return replace(self, paths=tuple(path for path, trouble in troubles.items() if trouble is None))

    def total(self) -> int | None:
        return total_size(self.paths, self.rules)
