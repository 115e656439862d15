"""A network in a process of its own: `python -m support.p2p_node`, for tests that stop, kill or attack one.

Prints its address; answers the call "echo", serves "/victim/raises/1" with a handler that raises.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node.datadir.identity import Identity
from node.p2p.network import NetworkSettings, open_network
from node.p2p.portal import open_portal


@contextmanager
def process() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its address; killed at the end."""
    tests = Path(__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)])}
    command = [sys.executable, "-m", "support.p2p_node"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as popen:
        try:
            assert popen.stdout is not None
            yield popen, popen.stdout.readline().strip()
        finally:
            popen.kill()


async def _main() -> None:
    async def echo(_peer: str, request: bytes) -> bytes:
        return request

    async def raises(_peer: str, _protocol: str, _message: bytes) -> None:
        raise RuntimeError("boom")

    settings = NetworkSettings("victim", ("/ip4/127.0.0.1/tcp/0",), gossip=True)
    async with open_portal() as portal, open_network(portal, Identity.generate(), settings) as network:
        network.serve("echo", echo)
        network.on_message(["/victim/raises/1"], raises)
        print(network.addresses()[0], flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(_main())
