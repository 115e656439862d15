"""Random files and folders that touch every boundary of an import, from a seed."""

from __future__ import annotations

import os
import random
from pathlib import Path

_SIZES = (0, 1, 31, 32, 33, 127, 128, 1000, 1001, 262143, 262144, 262145, 524288, 1 << 20, (1 << 20) + 1)
_NAMES = (
    "a",
    "file.txt",
    "ünïcödé",
    "日本",
    "with space",
    "100% sure",
    "a#b?c",
    "-dash",
    ".hidden",
    "🚀",
    "back\\slash",
)
_TARGETS = ("a", "../x", "/etc/hosts", "ünïcödé")
_MODES = (0o644, 0o755, 0o600, 0o444, 0o4755, 0o2750, 0o1777)


class RandomTree:
    """Writes below a folder; everything follows from the generator that it is given."""

    def __init__(self, random: random.Random) -> None:
        self._random = random

    def file(self, path: Path, limit: int) -> None:
        r = self._random
        size = min(r.choice((*_SIZES, r.randrange(limit), r.randrange(1 << 14))), limit)
        path.write_bytes(r.randbytes(size) if r.random() < 0.7 else bytes([r.randrange(256)]) * size)
        self._touch(path)

    def folder(self, path: Path, depth: int = 0) -> None:
        r = self._random
        path.mkdir()
        for _ in range(r.randrange(12)):
            child = path / self._name()
            kind = r.random()
            if os.path.lexists(child):
                continue
            if kind < 0.2 and depth < 4:
                self.folder(child, depth + 1)
            elif kind < 0.27:
                child.symlink_to(r.choice(_TARGETS))
            else:
                self.file(child, 600_000)
        self._touch(path)

    def crowd(self, path: Path, entries: int) -> None:
        """One folder of many small files and empty folders."""
        r = self._random
        path.mkdir()
        for index in range(entries):
            child = path / (f"{index}-" + r.choice("abcß日") * r.randrange(40))
            if r.random() < 0.05:
                child.mkdir()
            else:
                child.write_bytes(r.randbytes(r.randrange(40)))

    def _name(self) -> str:
        name = self._random.choice(_NAMES) + str(self._random.randrange(10_000))
        return os.fsdecode(b"\xff\xfe" + name.encode()) if self._random.random() < 0.03 else name

    def _touch(self, path: Path) -> None:
        r = self._random
        path.chmod(r.choice(_MODES) | (0o700 if path.is_dir() else 0))
        seconds = r.randrange(-(10**8), 2 * 10**9)
        os.utime(path, ns=(0, seconds * 10**9 + r.choice((0, r.randrange(10**9)))))
