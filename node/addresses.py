"""The file that says where the running daemon listens: other programs on this machine find it by that."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from node.atomic_write import atomic_write
from node.http.faces import Faces
from node.parts import Parts


@asynccontextmanager
async def published(path: Path, parts: Parts, faces: Faces) -> AsyncIterator[None]:
    """The file exists as long as the block lasts, whole or not at all."""
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
    text = json.dumps(fields, indent=2) + "\n"
    atomic_write(path, text.encode(), durable=False)
    try:
        yield
    finally:
        _remove(path)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
