"""The folders of an import: links gathered as files finish, then written from the bottom up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from blockstore.errors import BadEntry
from blockstore.unixfs.importing.directory import DirectoryNodes
from blockstore.unixfs.importing.entries import split_path
from blockstore.unixfs.importing.nodes import NO_STAT, Child, FileMetadata


@dataclass(slots=True)
class _TreeFolder:
    stat: FileMetadata
    done: dict[str, Child] = field(default_factory=dict)
    open: dict[str, _TreeFolder] = field(default_factory=dict)


class ImportTree:
    """Holds links alone, in whatever order entries come. `implied` is what unnamed folders record."""

    def __init__(self, implied: FileMetadata = NO_STAT) -> None:
        self._implied = implied
        self._root = _TreeFolder(implied)

    def place(self, path: str, child: Child) -> None:
        """Put a finished file or symlink. Raises BadEntry where something else has that path."""
        *parents, name = split_path(path)
        folder = self._walk(parents, path)
        if name in folder.done or name in folder.open:
            raise BadEntry(f'path "{path}" comes twice')
        folder.done[name] = child

    def folder(self, path: str, stat: FileMetadata) -> None:
        """Make a folder, or say what one that was implied before records. Raises BadEntry where a file is."""
        self._walk(split_path(path), path).stat = stat

    def write(self, nodes: DirectoryNodes, *, wrap: bool, keep_empty: bool) -> Iterator[tuple[str, Child]]:
        """Write every folder after those in it, giving path and root of each; the wrapping one has path "".

        Unless `keep_empty`, folders that nothing was put into are left out, except the outermost.
        """
        stack: list[tuple[str, _TreeFolder, Iterator[str]]] = [
            ("", self._root, iter(sorted(self._root.open)))
        ]
        while stack:
            path, folder, names = stack[-1]
            name = next(names, None)
            if name is None:
                stack.pop()
                if stack or wrap:
                    child = nodes.write(folder.done, folder.stat)
                    if stack:
                        stack[-1][1].done[path.rpartition("/")[2]] = child
                    yield path, child
                continue
            below = folder.open.pop(name)
            if below.done or below.open or keep_empty or not (stack[1:] or wrap):
                stack.append((f"{path}/{name}" if path else name, below, iter(sorted(below.open))))

    def _walk(self, names: list[str], path: str) -> _TreeFolder:
        folder = self._root
        for name in names:
            if name in folder.done:
                raise BadEntry(f'path "{path}" leads through "{name}", which is not a folder')
            below = folder.open.get(name)
            if below is None:
                below = folder.open[name] = _TreeFolder(self._implied)
            folder = below
        return folder
