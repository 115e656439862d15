"""kill -9 in the middle of writing: what was acknowledged is there, whole, and counted."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from support.dags import cids, leaves
from support.verifying import damaged

from blockstore.sqlite.open_store import open_sqlite_blockstore
from blockstore.sqlite.store import SqliteBlockstore
from blockstore.volumes.open_store import open_volume_blockstore

STORES: dict[str, Callable[[Path], AbstractAsyncContextManager[SqliteBlockstore]]] = {
    "open_sqlite_blockstore": open_sqlite_blockstore,
    "open_volume_blockstore": open_volume_blockstore,
}
ROOMS = {"open_sqlite_blockstore": "blockstore.sqlite", "open_volume_blockstore": "blockstore.volumes"}

# Batch n holds the leaves 100 n to 100 n + 15; a line is printed once it is acknowledged.
SCRIPT = """
import asyncio, itertools, sys
from pathlib import Path
from {room}.open_store import {opener} as opened
from support.dags import leaves
from support.verifying import damaged

async def main():
    async with opened(Path(sys.argv[1])) as store:
        for number in itertools.count():
            await store.put_many(leaves(16, 100 * number, size=20_000))
            print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("opener", STORES)
@pytest.mark.parametrize("batches", [1, 7, 40])
def test_every_acknowledged_batch_survives_kill_9(
    tmp_path: Path, pytestconfig: pytest.Config, batches: int, opener: str
) -> None:
    path = tmp_path / "blocks.db"
    writer = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(room=ROOMS[opener], opener=opener), str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=pytestconfig.rootpath,
        env={"PYTHONPATH": f"{pytestconfig.rootpath}:{pytestconfig.rootpath / 'tests'}"},
    )
    assert writer.stdout is not None
    with writer, writer.stdout as lines:
        for _ in range(batches):
            lines.readline()
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged = batches + len(lines.read().splitlines())
    asyncio.run(check(STORES[opener](path), acknowledged))


async def check(opening: AbstractAsyncContextManager[SqliteBlockstore], acknowledged: int) -> None:
    async with opening as store:
        blocks = [block for n in range(acknowledged) for block in leaves(16, 100 * n, size=20_000)]
        assert await store.get_many(cids(blocks)) == blocks
        assert await damaged(store) == []
        usage = await store.usage()
        assert usage.blocks % 16 == 0, "a part of a batch is there"
        assert usage.blocks in {16 * acknowledged, 16 * (acknowledged + 1)}
        assert usage.bytes == usage.blocks * 20_000
