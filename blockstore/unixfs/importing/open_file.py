"""One file on its way into an import: bytes from disk or from a stream, cut, and laid out."""

from __future__ import annotations

import os
import stat
from io import FileIO

from blockstore.errors import UnreadableFile
from blockstore.unixfs.chunking.chunker import Chunker
from blockstore.unixfs.importing.entries import LocalFile, SourceFile
from blockstore.unixfs.importing.layout import FileLayout
from blockstore.unixfs.importing.nodes import Child

_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


class OpenFile:
    """A file on its way in: where its bytes come from, how they are cut, what became of them so far."""

    def __init__(
        self, entry: SourceFile, local: LocalFile | None, chunker: Chunker, layout: FileLayout
    ) -> None:
        self.entry = entry
        self.taken = 0
        self._local = local
        self._file = (local.opened or open_regular(local.path)) if local else None
        self._chunker = chunker
        self._layout = layout

    def read(self) -> bytes:
        """The next bytes of a local file; none at its end, wherever that is by now. Raises UnreadableFile."""
        if self._local is None or self._file is None:
            return b""
        left = self._local.size - self.taken
        want = self._chunker.read_bytes
        try:
            return os.read(self._file.fileno(), min(want, left + 1) if left >= 0 else want)
        except OSError as error:
            raise UnreadableFile(self._local.path, str(error.strerror)) from None

    def feed(self, data: bytes) -> None:
        self.taken += len(data)
        for chunk in self._chunker.feed(data):
            self._layout.add(chunk)

    def finish(self) -> Child:
        for chunk in self._chunker.finish():
            self._layout.add(chunk)
        return self._layout.finish()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def open_regular(path: str) -> FileIO:
    """Open for reading; a pipe or socket that has taken the place of a file is refused, not waited for.

    Raises UnreadableFile.
    """
    try:
        handle = os.open(path, _OPEN_FLAGS)
    except FileNotFoundError:
        raise UnreadableFile(path, "it vanished while it was being added") from None
    except OSError as error:
        raise UnreadableFile(path, str(error.strerror)) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UnreadableFile(path, "it is no longer a regular file")
    return FileIO(handle)
