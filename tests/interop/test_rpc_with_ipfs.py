"""The real `ipfs --api` drives the built part of the RPC: Go's types, trailers, TAR and multipart."""

import asyncio
import filecmp
import json
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest
from aiohttp import ClientSession, FormData
from support.kubo import peer_command
from support.node import running_node

from node.node import Node

pytestmark = pytest.mark.interop

BIG = random.Random(5).randbytes(700_000)


class Run(Protocol):
    """`ipfs`: exit code, standard output, standard error."""

    async def __call__(self, *arguments: str, data: bytes | None = None) -> tuple[int | None, bytes, str]: ...


@asynccontextmanager
async def ipfs(tmp_path: Path) -> AsyncIterator[tuple[Node, str, Run]]:
    """A node that holds a tree, the tree's root, and `ipfs` against the node's RPC."""
    async with running_node(tmp_path / "node") as node:

        async def run(*arguments: str, data: bytes | None = None) -> tuple[int | None, bytes, str]:
            process = await asyncio.create_subprocess_exec(
                peer_command("ipfs"),
                "--api",
                f"/ip4/127.0.0.1/tcp/{node.faces.rpc.port}",
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "IPFS_TELEMETRY": "off", "IPFS_PATH": str(tmp_path / "none")},
            )
            out, err = await process.communicate(data)
            return process.returncode, out, err.decode()

        yield node, await _root(node), run


async def _root(node: Node) -> str:
    form = FormData()
    form.add_field("file", b"hi\n", filename="d/a.txt")
    form.add_field("file", BIG, filename="d/sub/b.bin")
    async with (
        ClientSession() as client,
        client.post(f"{node.faces.api.url}/add", data=form) as answer,
    ):
        return str(json.loads((await answer.text()).splitlines()[-1])["cid"])


async def test_reading_commands(tmp_path: Path) -> None:
    async with ipfs(tmp_path) as (node, root, run):
        assert node.parts.peer.encode() in (await run("id"))[1]
        assert (await run("version"))[1] == b"ipfs version 0.43.1\n"
        assert (await run("cat", f"/ipfs/{root}/sub/b.bin")) == (0, BIG, "")
        listing = (await run("ls", root))[1].decode()
        assert "3 a.txt" in listing
        assert "- sub/" in listing
        assert b"Size: " in (await run("block", "stat", root))[1]
        assert b"RepoSize" in (await run("repo", "stat"))[1]
        assert (await run("swarm", "peers"))[:2] == (0, b"")


async def test_get_unpacks_the_tree(tmp_path: Path) -> None:
    async with ipfs(tmp_path) as (_, root, run):
        code, _, err = await run("get", "-o", str(tmp_path / "out"), root)
        assert code == 0, err
        assert (tmp_path / "out" / "a.txt").read_bytes() == b"hi\n"
        (tmp_path / "b.bin").write_bytes(BIG)
        assert filecmp.cmp(tmp_path / "out" / "sub" / "b.bin", tmp_path / "b.bin", shallow=False)


async def test_a_car_goes_round(tmp_path: Path) -> None:
    async with ipfs(tmp_path) as (_, root, run):
        _, car, _ = await run("dag", "export", root)
        (tmp_path / "x.car").write_bytes(car)
        code, out, err = await run("dag", "import", str(tmp_path / "x.car"))
        assert (code, root in out.decode()) == (0, True), err


async def test_a_block_goes_round(tmp_path: Path) -> None:
    async with ipfs(tmp_path) as (_, _, run):
        _, cid, _ = await run("block", "put", data=b"a block")
        assert await run("block", "get", cid.decode().strip()) == (0, b"a block", "")


async def test_errors_reach_the_user(tmp_path: Path) -> None:
    async with ipfs(tmp_path) as (_, root, run):
        code, _, err = await run("cat", f"/ipfs/{root}/nothing")
        assert code == 1
        assert 'no link named "nothing"' in err
        assert (await run("files", "ls"))[0] == 1
