"""The file that says where the running daemon listens: other programs on this machine find it by that."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from blockstore.disk.free_space import is_full
from blockstore.errors import StorageFull
from blockstore.sqlite.database import Ballast, spending
from node.files.atomic_write import atomic_write

_log = logging.getLogger(__name__)


@asynccontextmanager
async def addresses_published(
    path: Path, fields: Mapping[str, object], ballast: Ballast
) -> AsyncIterator[None]:
    """The file holds these fields, and the process's id, as long as the block lasts: whole or not at all.

    On a full disk `ballast` is given up for it. Without any room there is none, and commands find the daemon
    at the ports of its settings only.
    """
    text = (json.dumps({"pid": os.getpid(), **fields}, indent=2) + "\n").encode()
    try:
        await spending(ballast, lambda: _write(path, text))
    except StorageFull as error:
        _log.warning("%s; free some space and start again", error)
    try:
        yield
    finally:
        _remove(path)


async def _write(path: Path, text: bytes) -> None:
    try:
        atomic_write(path, text, durable=False)
    except OSError as error:
        if not is_full(error):
            raise
        raise StorageFull(f"cannot write {path}: {error.strerror}") from error


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
