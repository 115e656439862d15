"""Where the audit log's lines lie: a few files, the oldest of which goes when there is no more room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from node.audit.record import AuditRecord, BadRecordLine

FILES = 4
"""The newest is `audit.log`, the others `audit.1.log` and so on, each a quarter of the room."""

_OWNER_ONLY = 0o600


class AuditUnreadable(Exception):
    """The disk does not give what was written down."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"the audit log cannot be read: {error}")


class AuditFiles:
    """`most`: bytes of one file. The newest is open for as long as it is the newest, and was not removed."""

    def __init__(self, path: Path, most: int) -> None:
        self.path = path
        self._most = most
        self._file: FileIO | None = None

    def append(self, line: bytes) -> None:
        """Raises OSError."""
        file = self._newest()
        if file.write(line) != len(line):
            self.close()  # the next one begins a line of its own
        elif file.tell() >= self._most:
            self._rotate(file)

    def backwards(self) -> Iterator[AuditRecord]:
        """The last one first. Raises AuditUnreadable."""
        for path in self._paths():
            try:
                lines = path.read_bytes().split(b"\n")
            except FileNotFoundError:
                continue
            except OSError as error:
                raise AuditUnreadable(error) from None
            while lines:
                record = _read(lines.pop())
                if record is not None:
                    yield record

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _newest(self) -> FileIO:
        if self._file is not None and os.fstat(self._file.fileno()).st_nlink:
            return self._file
        self.close()
        file = self._file = FileIO(self.path, "a+", opener=_opened)
        size = file.seek(0, os.SEEK_END)
        if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
            file.write(b"\n")  # behind what a power failure cut
        return file

    def _rotate(self, full: FileIO) -> None:
        full.close()
        self._file = None
        paths = self._paths()
        for older, newer in zip(paths[:0:-1], paths[-2::-1], strict=True):
            if newer.exists():
                os.replace(newer, older)

    def _paths(self) -> list[Path]:
        """Newest first."""
        older = [self.path.with_name(f"{self.path.stem}.{n}{self.path.suffix}") for n in range(1, FILES)]
        return [self.path, *older]


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags, _OWNER_ONLY)


def _read(line: bytes) -> AuditRecord | None:
    """None for a line that was cut or is of another release: it hides no other."""
    try:
        return AuditRecord.read(line) if line else None
    except BadRecordLine:
        return None
