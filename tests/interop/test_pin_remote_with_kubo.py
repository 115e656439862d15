"""`ipfs pin remote` of a real Kubo against the Pinning Service API of a node."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from support.kubo import Kubo
from support.node import running_node

from blockstore.cid import CID
from node.access.rights import TokenScope
from node.config.sections import Config
from node.node import Node

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

Run = Callable[..., "asyncio.Future[str]"]


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    config = replace(Config(), cluster=replace(Config().cluster, pin_timeout=20.0))
    async with running_node(tmp_path / "node", config, offline=False) as running:
        yield running


@pytest.fixture
def kubo(tmp_path: Path) -> Kubo:
    return Kubo(tmp_path / "kubo")


async def service(node: Node, run: Run, owner: str) -> None:
    _, token = await node.parts.credentials.tokens.create(owner, TokenScope.PIN, owner)
    await run("pin", "remote", "service", "add", owner, node.faces.pinning.url, token)


def runner(kubo: Kubo) -> Run:
    return lambda *words: asyncio.ensure_future(asyncio.to_thread(kubo.run, *words))


async def test_kubo_adds_lists_finds_and_removes(node: Node, kubo: Kubo, tmp_path: Path) -> None:
    run = runner(kubo)
    with kubo.running():
        await service(node, run, "alice")
        (tmp_path / "file").write_bytes(b"x" * 70_000)
        cid = await run("add", "-Q", "--cid-version=1", str(tmp_path / "file"))
        # The node is not connected: it dials the origins that Kubo sends along.
        await run("pin", "remote", "add", "--service=alice", "--name=mine", f"/ipfs/{cid}")
        assert await run("pin", "remote", "ls", "--service=alice") == f"{cid}\tpinned\tmine"
        assert await run("pin", "remote", "ls", "--service=alice", "--name=mine") == f"{cid}\tpinned\tmine"
        assert await run("pin", "remote", "ls", "--service=alice", f"--cid={cid}") == f"{cid}\tpinned\tmine"
        assert await run("pin", "remote", "ls", "--service=alice", "--name=other") == ""
        assert await run("pin", "remote", "ls", "--service=alice", "--status=queued,pinning,failed") == ""
        pin = await node.parts.cluster.get_pin(CID.parse(cid))
        assert pin.options.name == "mine"
        counted = json.loads(await run("pin", "remote", "service", "ls", "--stat", "--enc=json"))
        assert counted["RemoteServices"][0]["Stat"]["PinCount"]["Pinned"] == 1
        await run("pin", "remote", "rm", "--service=alice", "--name=mine")
        assert await node.parts.cluster.pinset.get(pin.cid) is None


async def test_two_owners_keep_one_cid_until_both_let_go(node: Node, kubo: Kubo, tmp_path: Path) -> None:
    run = runner(kubo)
    with kubo.running():
        for owner in ("alice", "bob"):
            await service(node, run, owner)
        (tmp_path / "file").write_bytes(b"y" * 1000)
        cid = await run("add", "-Q", "--cid-version=1", str(tmp_path / "file"))
        for owner in ("alice", "bob"):
            await run("pin", "remote", "add", f"--service={owner}", f"/ipfs/{cid}")
        held = partial(node.parts.cluster.pinset.get, CID.parse(cid))
        await run("pin", "remote", "rm", "--service=alice", f"--cid={cid}")
        assert await held() is not None
        await run("pin", "remote", "rm", "--service=bob", f"--cid={cid}")
        assert await held() is None


async def test_many_requests_are_paged_through(node: Node, kubo: Kubo, tmp_path: Path) -> None:
    run = runner(kubo)
    with kubo.running():
        await service(node, run, "alice")
        cids = []
        for number in range(23):
            (tmp_path / "file").write_bytes(b"%d" % number)
            cids.append(await run("add", "-Q", "--cid-version=1", str(tmp_path / "file")))
            await run("pin", "remote", "add", "--background", "--service=alice", f"/ipfs/{cids[-1]}")
        listed = await run("pin", "remote", "ls", "--service=alice", "--status=queued,pinning,pinned,failed")
        assert [line.split()[0] for line in listed.splitlines()] == cids[::-1]


async def test_kubo_says_what_a_refusal_says(node: Node, kubo: Kubo) -> None:
    run = runner(kubo)
    with kubo.running():
        await run("pin", "remote", "service", "add", "wrong", node.faces.pinning.url, "pft_wrong")
        with pytest.raises(RuntimeError, match="UNAUTHORIZED"):
            await run("pin", "remote", "ls", "--service=wrong")
