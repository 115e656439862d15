"""The file that says where the running daemon listens: other programs on this machine find it by that."""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from node.atomic_write import atomic_write
from node.http.faces import Faces
from node.parts import Parts

_log = logging.getLogger(__name__)


@asynccontextmanager
async def published(path: Path, parts: Parts, faces: Faces) -> AsyncIterator[Mapping[str, object]]:
    """The file exists as long as the block lasts, whole or not at all; what is in it.

    On a disk without any room there is none, and commands find the daemon at the ports of its settings only.
    """
    about = parts.cluster.id()
    fields = {
        "pid": os.getpid(),
        "peer_id": parts.peer,
        "gateway": faces.gateway.url,
        "rpc": faces.rpc.url,
        "api": faces.api.url,
        "swarm": list(about.ipfs.addresses),
        "cluster": list(about.addresses),
    }
    try:
        atomic_write(path, (json.dumps(fields, indent=2) + "\n").encode(), durable=False)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _log.warning("cannot write %s: %s; free some space and start again", path, error.strerror)
    try:
        yield fields
    finally:
        _remove(path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
