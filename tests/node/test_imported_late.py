"""dag-cbor and multiformats are for rare and strict reading: neither a start nor usual requests load them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

LATE = ("dag_cbor", "multiformats")

VERSION = """
import sys
from node.cli.main import main
sys.argv = ["pinfold", "version"]
try:
    main()
except SystemExit as end:
    assert not end.code
"""
IMPORTS = "import node.http.listeners, node.node, cluster.cluster, bitswap.exchange"
DAEMON = """
import asyncio, sys
from pathlib import Path
from blockstore.block import Block
from support.gateway import open_gateway

async def main() -> None:
    async with open_gateway(Path(sys.argv[1])) as gateway:
        small = Block.of(b"small")
        await gateway.put(small)
        assert (await gateway.get(f"/ipfs/{small.cid}")).body == b"small"
        assert (await gateway.get("/ipfs/nonsense")).status == 400

asyncio.run(main())
"""
LEARNS = "import cluster.common.cross_check as c; c.decode(bytes([0x80]), 10)"


def loaded(program: str, folder: str, root: str) -> set[str]:
    """Which of LATE that program loads."""
    told = f"{program}\nimport sys\nprint(*(name for name in {LATE} if name in sys.modules))"
    command = [sys.executable, "-c", told, folder]
    paths = os.pathsep.join((root, f"{root}/tests"))
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("program", [VERSION, IMPORTS, DAEMON], ids=["version", "every part", "a gateway"])
def test_a_start_and_usual_requests_load_neither(
    program: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> None:
    assert loaded(program, str(tmp_path_factory.mktemp("node")), str(request.config.rootpath)) == set()


def test_what_somebody_signed_loads_both(request: pytest.FixtureRequest) -> None:
    assert loaded(LEARNS, "", str(request.config.rootpath)) == set(LATE)
