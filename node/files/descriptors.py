"""Paths that mean a descriptor this process already has: /dev/stdin, /dev/fd/3, /proc/self/fd/3."""

from __future__ import annotations

import os
import re
from pathlib import Path

_MAX_LINKS = 40  # as Linux follows them


def descriptor_of(path: str | Path) -> int | None:
    """Its number, symlinks to such a path followed; None for every other path.

    Opening the path would give another position in the file, and fails for a socket.
    """
    own = re.compile(rf"(?:/dev|/proc/{os.getpid()}(?:/task/\d+)?)/fd")
    path = os.path.abspath(path)
    for _ in range(_MAX_LINKS):
        folder, name = os.path.split(path)
        if name.isascii() and name.isdigit() and own.fullmatch(os.path.realpath(folder)):
            return int(name)
        if not os.path.islink(path):
            return None
        path = os.path.join(folder, os.readlink(path))
    return None
