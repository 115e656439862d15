"""A disk that refuses writes, as a process meets it: the kernel's limit on file sizes stands in for it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

# Its own process: the limit would hit every file that pytest writes.
SCRIPT = """
import asyncio, resource, sys
from pathlib import Path
from blockstore.block import Block
from blockstore.errors import StorageFull
from blockstore.sqlite.open_store import open_sqlite_blockstore
from support.dags import cids, leaves
from support.verifying import damaged

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def main():
    async with open_sqlite_blockstore(Path(sys.argv[1])) as store:
        limit(int(sys.argv[2]))
        kept, start = [], 0
        while True:
            batch = leaves(8, start, size=50_000)
            try:
                await store.put_many(batch)
            except StorageFull as error:
                print("full after", len(kept), "blocks:", error)
                break
            kept += batch
            start += 8
        assert await store.missing(cids(batch)) == cids(batch), "something of the refused batch is there"
        assert await store.get_many(cids(kept)) == kept, "what was acknowledged is not all there"
        assert (await store.usage()).blocks == len(kept)
        assert await damaged(store) == []
        limit(resource.RLIM_INFINITY)
        await store.put_many(batch)
        assert await store.get_many(cids(kept + batch)) == kept + batch
        assert (await store.usage()).blocks == len(kept) + 8
    async with open_sqlite_blockstore(Path(sys.argv[1])) as store:
        assert await store.get_many(cids(kept + batch)) == kept + batch
        print("whole again")

asyncio.run(main())
"""


@pytest.mark.parametrize("size", [2_000_000, 9_000_000])
def test_a_full_disk_refuses_a_batch_whole_and_the_store_lives_on(
    tmp_path: Path, pytestconfig: pytest.Config, size: int
) -> None:
    """The smaller limit stops the write-ahead log, the larger one the database behind it."""
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path / "blocks.db"), str(size)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=pytestconfig.rootpath,
        env={"PYTHONPATH": f"{pytestconfig.rootpath}:{pytestconfig.rootpath / 'tests'}"},
    )
    assert run.returncode == 0, run.stderr
    assert "the disk is full" in run.stdout
    assert "whole again" in run.stdout
