"""The index of a data folder's blocks, made again while no daemon uses the folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from blockstore.disk.folder_lock import hold_lock
from blockstore.volumes.rebuild import RebuiltIndex, rebuild_index
from node.block_access import volume_options
from node.config.sections import Config
from node.datadir.folder import DataFolder


def volume_bytes(config: Config, folder: DataFolder) -> int:
    """Of all volumes, which a rebuild reads."""
    folders = [folder.volumes, *volume_options(config.storage).folders]
    return sum(_size(file) for path in folders for file in path.glob("*.vol"))


async def rebuild_store(config: Config, folder: DataFolder, on_read: Callable[[int], None]) -> RebuiltIndex:
    """`on_read` hears of bytes that were gone through. Raises StoreLocked, StorageFull, StoreUnavailable."""
    with hold_lock(folder.lock):
        return await rebuild_index(folder.blocks, volume_options(config.storage), on_read)


def _size(file: Path) -> int:
    return file.stat().st_size
