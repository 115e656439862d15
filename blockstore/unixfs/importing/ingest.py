"""The part of an import that computes: bytes in, blocks out, in portions that one thread works off in turn.

Nothing here awaits. The importer runs one call at a time, in a thread: reading and hashing let go of the
interpreter's lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from blockstore.block import Block
from blockstore.cid import CID
from blockstore.unixfs.chunking.chunker import Chunker, chunker_factory
from blockstore.unixfs.importing.directory import DirectoryNodes
from blockstore.unixfs.importing.entries import (
    LocalFile,
    Mtime,
    SourceDirectory,
    SourceFile,
    SourceSymlink,
    split_path,
)
from blockstore.unixfs.importing.layout import BalancedLayout, FileNodes, TrickleLayout
from blockstore.unixfs.importing.nodes import Child, FileMetadata, write_symlink
from blockstore.unixfs.importing.open_file import OpenFile
from blockstore.unixfs.importing.options import ImportOptions
from blockstore.unixfs.importing.tree import ImportTree

GROUP_BYTES = 4 * 1024 * 1024
GROUP_BLOCKS = 1024

Kind = Literal["file", "directory", "symlink"]


@dataclass(frozen=True, slots=True)
class ImportedEntry:
    """One thing that is in the DAG now. `size` is the bytes of all its blocks, `bytes` those of file content.

    `name` is its path, "" for the wrapping directory, the CID for a file that came without a name.
    """

    name: str
    cid: CID
    size: int
    kind: Kind
    bytes: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of a file whose content comes as a stream; `last` when they were its last."""

    entry: SourceFile
    data: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class LocalWork:
    """A file to be read from disk."""

    entry: SourceFile
    file: LocalFile


Work = Piece | LocalWork | SourceDirectory | SourceSymlink


@dataclass(slots=True)
class Group:
    """What one portion made: blocks for one transaction, and what is complete once they are stored."""

    blocks: list[Block] = field(default_factory=list)
    size: int = 0
    added: list[ImportedEntry] = field(default_factory=list)
    reading: tuple[str, int] | None = None  # file that is not complete yet, and how many of its bytes are

    def put(self, block: Block) -> None:
        """Blocks that lie in their CIDs are not stored."""
        if not block.cid.is_identity:
            self.blocks.append(block)
            self.size += len(block.data)

    def full(self) -> bool:
        return self.size >= GROUP_BYTES or len(self.blocks) >= GROUP_BLOCKS


class Ingest:
    """One import. `run` as long as there is work, then `finish` until it says that all is done."""

    def __init__(self, options: ImportOptions) -> None:
        self._options = options
        self._namer = options.namer()
        self._chunker: Callable[[], Chunker] = chunker_factory(options.chunker)
        self._tree = ImportTree(FileMetadata(options.mode, options.mtime))
        self._group = Group()
        self._file: OpenFile | None = None
        nodes = DirectoryNodes(self._namer, options.sharding(), self._put)
        self._folders = self._tree.write(nodes, wrap=options.wrap, keep_empty=options.empty_dirs)

    def run(self, work: deque[Work]) -> Group:
        """Work off the front of the queue until a group is full or the queue is empty.

        Raises UnreadableFile, BadEntry, BlockTooLarge.
        """
        self._group = group = Group()
        while work and not group.full():
            if self._step(work[0]):
                work.popleft()
        if self._file is not None:
            group.reading = (self._file.entry.path, self._file.taken)
        return group

    def finish(self) -> tuple[Group, bool]:
        """Write the next folders; true with the last of them. Raises BadEntry, BlockTooLarge."""
        self._group = group = Group()
        for path, child in self._folders:
            group.added.append(ImportedEntry(path, child.cid, child.tsize, "directory", 0))
            if group.full():
                return group, False
        return group, True

    def close(self) -> None:
        """Let go of the file that is being read, if any."""
        if self._file is not None:
            self._file.close()

    def _put(self, block: Block) -> None:
        self._group.put(block)

    def _step(self, work: Work) -> bool:
        """Do some of it; true when all is done."""
        match work:
            case Piece():
                return self._take(work)
            case LocalWork():
                return self._read(work)
            case SourceDirectory():
                self._tree.folder(work.path, self._stat(work.mode, work.mtime))
            case SourceSymlink():
                target = work.target.encode("utf-8", "surrogateescape")
                child = write_symlink(target, self._stat(None, work.mtime), self._namer, self._put)
                self._place(work.path, child, "symlink")
        return True

    def _take(self, piece: Piece) -> bool:
        file = self._file or self._open(piece.entry, None)
        file.feed(piece.data)
        if piece.last:
            self._close(file)
        return True

    def _read(self, work: LocalWork) -> bool:
        file = self._file or self._open(work.entry, work.file)
        while data := file.read():
            file.feed(data)
            if self._group.full():
                return False
        self._close(file)
        return True

    def _open(self, entry: SourceFile, local: LocalFile | None) -> OpenFile:
        split_path(entry.path)  # a path that has no place is refused before anything of its file is stored
        options = self._options
        nodes = FileNodes(
            self._namer,
            options.raw_leaves,
            options.max_file_links,
            self._stat(entry.mode, entry.mtime),
            self._put,
        )
        layout = TrickleLayout(nodes) if options.trickle else BalancedLayout(nodes)
        self._file = OpenFile(entry, local, self._chunker(), layout)
        return self._file

    def _close(self, file: OpenFile) -> None:
        child = file.finish()
        file.close()
        self._file = None
        self._place(file.entry.path, child, "file")

    def _place(self, path: str, child: Child, kind: Kind) -> None:
        """What came without a name goes by its CID, in a wrapping folder too."""
        name = path or str(child.cid)
        self._tree.place(name, child)
        self._group.added.append(ImportedEntry(name, child.cid, child.tsize, kind, child.filesize))

    def _stat(self, mode: int | None, mtime: Mtime | None) -> FileMetadata:
        options = self._options
        return FileMetadata(
            mode if options.preserve_mode else options.mode,
            mtime if options.preserve_mtime else options.mtime,
        )
