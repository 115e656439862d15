"""kill -9 in the middle of writing: what was acknowledged is there, whole, and counted."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.dags import cids, leaves
from support.verifying import damaged

from blockstore.sqlite.open_store import open_sqlite_blockstore

# Batch n holds the leaves 100 n to 100 n + 15; a line is printed once it is acknowledged.
SCRIPT = """
import asyncio, itertools, sys
from pathlib import Path
from blockstore.sqlite.open_store import open_sqlite_blockstore
from support.dags import leaves
from support.verifying import damaged

async def main():
    async with open_sqlite_blockstore(Path(sys.argv[1])) as store:
        for number in itertools.count():
            await store.put_many(leaves(16, 100 * number, size=20_000))
            print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("batches", [1, 7, 40])
def test_every_acknowledged_batch_survives_kill_9(
    tmp_path: Path, pytestconfig: pytest.Config, batches: int
) -> None:
    path = tmp_path / "blocks.db"
    writer = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path)],
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
    asyncio.run(check(path, acknowledged))


async def check(path: Path, acknowledged: int) -> None:
    async with open_sqlite_blockstore(path) as store:
        blocks = [block for n in range(acknowledged) for block in leaves(16, 100 * n, size=20_000)]
        assert await store.get_many(cids(blocks)) == blocks
        assert await damaged(store) == []
        usage = await store.usage()
        assert usage.blocks % 16 == 0, "a part of a batch is there"
        assert usage.blocks in {16 * acknowledged, 16 * (acknowledged + 1)}
        assert usage.bytes == usage.blocks * 20_000
