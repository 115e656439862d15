"""Blocks that wait on the disk until all of them are known to be good, in nameless files that end with us."""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

from blockstore.block import Block
from blockstore.cid import CID
from blockstore.common.size_text import size_text
from blockstore.disk.free_space import disk_free, is_full
from blockstore.errors import StorageFull

_IN_MEMORY = 8 * 1024 * 1024
_BATCH, _BATCH_BLOCKS = 4 * 1024 * 1024, 1024
_HEAD = struct.Struct("<HI")  # bytes of the CID, bytes of the data


@dataclass(frozen=True, slots=True)
class Staging:
    """Where staged blocks lie: `folder` (None: the system's for temporary files).

    `reserve` bytes of that disk are left free. A few megabytes stay in memory.
    """

    folder: Path | None = None
    reserve: int = 0

    @contextmanager
    def open(self) -> Generator[StagedBlocks]:
        """An empty file for the length of the block."""
        folder = str(self.folder) if self.folder else None
        with SpooledTemporaryFile(max_size=_IN_MEMORY, dir=folder) as file:
            yield StagedBlocks(file, self)

    def check_room(self, size: int, what: str = "the CAR", less: str = "import a smaller CAR") -> None:
        """Raises StorageFull where that many bytes more would touch the reserve; with these words."""
        if self.folder is None:
            return
        free = disk_free(self.folder)
        if free - self.reserve < size:
            raise StorageFull(
                f"no room to stage {what} in {self.folder}: {size_text(free)} are free, of which "
                f"{size_text(self.reserve)} are kept in reserve; free some space, or {less}"
            )


class StagedBlocks:
    """First all are appended, then all are read. For one thread at a time."""

    def __init__(self, file: IO[bytes], staging: Staging) -> None:
        self._file = file
        self._staging = staging

    def append(self, blocks: Sequence[Block]) -> None:
        """Raises StorageFull."""
        self._staging.check_room(sum(len(block.data) for block in blocks))
        with _disk_trouble():
            for block in blocks:
                name = bytes(block.cid)
                self._file.write(_HEAD.pack(len(name), len(block.data)) + name)
                self._file.write(block.data)

    def rewind(self) -> None:
        """From here on, read. Raises StorageFull."""
        with _disk_trouble():
            self._file.seek(0)  # writes what is still buffered

    def take(self) -> list[Block]:
        """The next blocks, verified again: what a disk gives back is not what it got until that is shown."""
        blocks: list[Block] = []
        size = 0
        while size < _BATCH and len(blocks) < _BATCH_BLOCKS and (head := self._file.read(_HEAD.size)):
            name_size, data_size = _HEAD.unpack(head)
            cid = CID.decode(self._file.read(name_size))
            blocks.append(Block.verify(cid, self._file.read(data_size), "the staging file"))
            size += data_size
        return blocks


@contextmanager
def _disk_trouble() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise StorageFull(f"no room to stage the CAR ({error}): free space, then try again") from error
