"""How far an upload is: what is sent, and of files that were handed over what the daemon has read."""

from __future__ import annotations

from node.cli.output.progress import Advance


class UploadProgress:
    """Moves a bar on by bytes; files go by their paths in the upload."""

    def __init__(self, advance: Advance) -> None:
        self.sent = advance
        self._left: dict[str, int] = {}
        self._sizes: dict[str, int] = {}

    def handed_over(self, path: str, size: int) -> None:
        self._left[path] = self._sizes[path] = size

    def read(self, path: str, size: int) -> None:
        """The daemon is so far in that file. Those that were sent are counted already."""
        if path in self._left:
            self._move(path, self._sizes[path] - size)

    def added(self, path: str) -> None:
        if path in self._left:
            self._move(path, 0)
            del self._left[path], self._sizes[path]

    def _move(self, path: str, left: int) -> None:
        self.sent(max(self._left[path] - left, 0))
        self._left[path] = min(left, self._left[path])
