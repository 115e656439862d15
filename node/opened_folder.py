"""The data folder in use: held by this process alone, with what a running node reads from it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from blockstore.common.guard import Guard
from blockstore.disk.ballast import open_ballast
from blockstore.disk.folder_lock import hold_lock
from blockstore.sqlite.database import Ballast
from cluster.common.names import as_name
from node.config.sections import Config
from node.datadir import identity as keys
from node.datadir.cluster_file import ClusterFile
from node.datadir.folder import DataFolder
from node.datadir.identity import Identity
from node.datadir.permissions import close_to_others


@dataclass(frozen=True, slots=True)
class OpenedFolder:
    """`name` is what this node calls itself. `ballast` is room that is given up on a full disk.

    `guard` counts what nothing else expects, for the whole node.
    """

    config: Config
    folder: DataFolder
    identity: Identity
    cluster_file: ClusterFile
    name: str
    ballast: Ballast
    guard: Guard


@asynccontextmanager
async def open_folder(config: Config, folder: DataFolder) -> AsyncIterator[OpenedFolder]:
    """Raises StoreLocked, BadIdentity, BadClusterFile."""
    async with AsyncExitStack() as stack:
        stack.enter_context(hold_lock(folder.lock))
        close_to_others(folder)
        yield OpenedFolder(
            config=config,
            folder=folder,
            identity=keys.load(folder.identity),
            cluster_file=ClusterFile.read(folder.cluster),
            name=config.cluster.peer_name or as_name(socket.gethostname()),
            ballast=await stack.enter_async_context(open_ballast(folder.ballast)),
            guard=Guard(),
        )
