"""A thousand listeners: what they cost, that all of them hear, and that there are no more."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from node.events.feed import MAX_LISTENERS

pytestmark = pytest.mark.slow

LIMIT_MB = 60
NODE = """
import asyncio, sys
from pathlib import Path
from support.node import running_node
from blockstore.block import Block
from cluster.pin import Wish

async def main() -> None:
    async with running_node(Path(sys.argv[1])) as node:
        await asyncio.to_thread(sys.stdin.readline)
        print(node.faces.api.port, flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        block = Block.of(b"news")
        await node.parts.blocks.put_many([block])
        await node.parts.add_service.pin_root(block.cid, Wish())
        print("pinned", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""
REQUEST = b"GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


async def test_a_thousand_listeners_hear_and_take_little(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with running(tmp_path, str(request.config.rootpath)) as (node, say), AsyncExitStack() as stack:
        port = int(await say())
        first = await stack.enter_async_context(listener(port))
        before = resident_mb(node.pid)
        others = [await stack.enter_async_context(listener(port)) for _ in range(MAX_LISTENERS - 1)]
        used = resident_mb(node.pid) - before
        assert used <= LIMIT_MB, f"{used:.0f} MB"
        refused = await stack.enter_async_context(asked(port))
        assert b" 503 " in await refused.readline()
        await say()
        await asyncio.gather(*(one.readuntil(b'"change":"added"') for one in (first, *others)))


@asynccontextmanager
async def running(
    folder: Path, root: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Callable[[], Awaitable[bytes]]]]:
    """The process, and what has it go on and gives its next line."""
    program = f"import sys; sys.path[:0] = [{root!r}, {root + '/tests'!r}]\n{NODE}"
    node = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(folder), stdin=PIPE, stdout=PIPE
    )

    async def say() -> bytes:
        assert node.stdin is not None
        assert node.stdout is not None
        node.stdin.write(b"\n")
        return await node.stdout.readline()

    try:
        yield node, say
    finally:
        node.kill()
        await node.wait()


@asynccontextmanager
async def asked(port: int) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST)
    yield reader
    writer.close()
    await writer.wait_closed()


@asynccontextmanager
async def listener(port: int) -> AsyncIterator[asyncio.StreamReader]:
    async with asked(port) as reader:
        await reader.readuntil(b'"hello"')
        yield reader
