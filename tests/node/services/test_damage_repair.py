"""A disk spoilt blocks of a pin: the node says so, fetches them from other members, gives no bad bytes."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout
from support.json_value import JsonObject
from support.node import eventually, running_node
from support.pairs import add, quick
from support.rot import rot

from blockstore.block import Block
from blockstore.blocks import Blocks, OfflineExchange
from blockstore.cid import CID, RAW
from blockstore.common.guard import Guard
from blockstore.common.tasks import background
from blockstore.pinning.local_pinner import open_local_pins
from blockstore.volumes.open_store import open_volume_blockstore
from cluster.errors import BadUpdate
from cluster.interfaces import Role
from node.datadir.folder import DataFolder
from node.node import Node
from node.services.damage_repair import DamageRepair

DATA = random.Random(7).randbytes(1_000_000)  # of several blocks below one node
LEAF = DATA[-64:]


async def status(client: ClientSession, node: Node, root: str) -> tuple[str, str]:
    """What the node says of itself: status and error."""
    async with client.get(f"{node.faces.api.url}/pins/{root}?local=true") as answer:
        told = (await answer.json())["peer_map"][node.parts.peer]
    return told["status"], told["error"]


async def is_pinned(client: ClientSession, node: Node, root: str) -> None:
    """Wait until it says so."""

    async def pinned() -> bool:
        return (await status(client, node, root))[0] == "pinned"

    await eventually(pinned)


async def content(client: ClientSession, node: Node, root: str) -> bytes | None:
    """A whole answer of its gateway with 200."""
    try:
        async with client.get(f"{node.faces.gateway.url}/ipfs/{root}") as answer:
            return await answer.read() if answer.status == 200 else None
    except ClientError:
        return None  # it broke off


async def damaged_blocks(client: ClientSession, node: Node) -> int:
    async with client.get(f"{node.faces.api.url}/v1/health") as answer:
        return int((await answer.json())["damaged_blocks"])


@pytest.fixture
async def client() -> AsyncIterator[ClientSession]:
    async with ClientSession(timeout=ClientTimeout(30)) as session:
        yield session


async def test_a_node_alone_says_that_a_pin_lost_a_block_and_takes_it_again(
    tmp_path: Path, client: ClientSession
) -> None:
    async with running_node(tmp_path / "a") as node:
        root = await add(client, node, "x", DATA, "?chunker=size-100000&raw-leaves=true")
        await is_pinned(client, node, root)
    rot(tmp_path / "a", LEAF)
    async with running_node(tmp_path / "a") as node:
        assert await content(client, node, root) is None

        async def failed() -> bool:
            state, error = await status(client, node, root)
            return state == "pin_error" and "does not hold it (block " in error

        await eventually(failed)
        assert await damaged_blocks(client, node) == 1
        assert await add(client, node, "x", DATA, "?chunker=size-100000&raw-leaves=true") == root
        assert await content(client, node, root) == DATA
        await is_pinned(client, node, root)
        assert await damaged_blocks(client, node) == 0


@asynccontextmanager
async def held_by_two(folder: Path, client: ClientSession, query: str = "") -> AsyncIterator[str]:
    """A root that two members hold, of whom the second has ended."""
    async with running_node(folder / "a", quick(), offline=False) as a:
        token = str(await a.parts.invite(Role.TRUSTED, 3600))
        async with running_node(folder / "b", quick(), offline=False, token=token) as b:
            root = await add(client, a, "x", DATA, query)
            await is_pinned(client, b, root)
        yield root


async def test_what_a_member_lost_comes_again_from_the_others(tmp_path: Path, client: ClientSession) -> None:
    async with held_by_two(tmp_path, client, "?chunker=size-100000&raw-leaves=true") as root:
        rot(tmp_path / "b", LEAF)
        async with running_node(tmp_path / "b", quick(), offline=False) as b:

            async def whole() -> bool:
                return await content(client, b, root) == DATA

            await eventually(whole)
            await is_pinned(client, b, root)
            assert await damaged_blocks(client, b) == 0


async def test_lost_blocks_come_again_from_the_others_without_a_word_of_anybody(
    tmp_path: Path, client: ClientSession
) -> None:
    async with held_by_two(tmp_path, client) as root:
        for file in (tmp_path / "b").glob("blocks.db*"):
            file.unlink()
        async with running_node(tmp_path / "b", quick(), offline=False) as b:
            await is_pinned(client, b, root)
            async with client.get(f"{b.faces.api.url}/v1/usage") as answer:
                assert (await answer.json())["bytes"] > len(DATA)


@pytest.mark.parametrize(
    ("error", "failures"),
    [(BadUpdate("its row is damaged"), 0), (KeyError("a bug"), 1)],
    ids=["known", "bug"],
)
async def test_a_pin_that_cannot_be_tried_again_keeps_no_other_from_it(
    tmp_path: Path, error: Exception, failures: int
) -> None:
    tried: asyncio.Queue[CID] = asyncio.Queue()
    guard = Guard()

    async def recover(cid: CID) -> None:
        await tried.put(cid)
        if cid == min(roots, key=bytes):
            raise error

    data = [random.Random(seed).randbytes(200_000) for seed in (1, 2)]
    form = "?chunker=size-100000&raw-leaves=true"
    async with running_node(tmp_path / "a") as node, ClientSession() as client:
        roots = [CID.parse(await add(client, node, "x", one, form)) for one in data]
    for one in data:
        rot(tmp_path / "a", one[-64:])
    folder = DataFolder(tmp_path / "a")
    async with (
        asyncio.timeout(60),
        open_volume_blockstore(folder.blocks) as store,
        open_local_pins(folder.pins, here := Blocks(store, OfflineExchange()), store.marks) as pins,
        background(DamageRepair(store, here, pins, recover, guard, spacing=0.0).run()),
    ):
        leaves = [Block.of(one[100_000:], RAW).cid for one in data]
        assert await store.get_many(leaves) == [None, None]
        assert {await tried.get(), await tried.get()} == set(roots)
    assert guard.failures == failures


async def checked(client: ClientSession, node: Node, query: str) -> list[JsonObject]:
    async with client.post(f"{node.faces.api.url}/v1/store/check{query}") as answer:
        return [json.loads(line) for line in (await answer.text()).splitlines()]


async def test_rot_that_nobody_reads_is_found_by_scrubbing_and_heals_from_another_member(
    tmp_path: Path, client: ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    form = "?chunker=size-100000&raw-leaves=true"
    async with running_node(tmp_path / "a", quick(), offline=False) as a:
        token = str(await a.parts.invite(Role.TRUSTED, 3600))
        async with running_node(tmp_path / "b", quick(), offline=False, token=token) as b:
            root = await add(client, a, "x", DATA, form)
            await is_pinned(client, b, root)
        rot(tmp_path / "b", LEAF)
        (tmp_path / "b" / "scrub.json").write_text(json.dumps({"version": 1, "due": 0}))
        async with running_node(tmp_path / "b", quick(), offline=False) as b:

            async def healed() -> bool:
                async with client.get(f"{b.faces.api.url}/v1/health") as answer:
                    told = await answer.json()
                return told["scrub"]["ended"] > 0 and not told["damaged_blocks"]

            await eventually(healed)
            leaf = Block.of(DATA[900_000:], RAW).cid
            assert f"block {leaf} is damaged on this disk" in caplog.text
            assert f"block {leaf} has come again" in caplog.text
            await is_pinned(client, b, root)
            last = (await checked(client, b, f"?cid={root}"))[-1]["checked"]
            assert last.pop("bytes") > len(DATA)
            assert last == {"blocks": 11, "damaged": 0, "unreadable": 0, "missing": 0, "mended": 0}


async def test_a_pin_is_checked_and_mended_on_demand(tmp_path: Path, client: ClientSession) -> None:
    form = "?chunker=size-100000&raw-leaves=true"
    leaf = Block.of(DATA[900_000:], RAW).cid
    async with running_node(tmp_path / "a", quick(), offline=False) as a:
        token = str(await a.parts.invite(Role.TRUSTED, 3600))
        async with running_node(tmp_path / "b", quick(), offline=False, token=token) as b:
            root = await add(client, a, "x", DATA, form)
            await is_pinned(client, b, root)
            await b.parts.store.flush()
        rot(tmp_path / "b", LEAF)
        async with running_node(tmp_path / "b", quick(), offline=False) as b:
            lines = await checked(client, b, f"?cid={root}&repair=true")
            assert {"damaged": str(leaf)} in lines
            assert {"mended": str(leaf)} in lines
            assert await content(client, b, root) == DATA
            lines = await checked(client, b, "")
            assert lines[-1]["checked"]["damaged"] == 0


async def test_what_nobody_has_is_named_with_the_reason(tmp_path: Path, client: ClientSession) -> None:
    async with running_node(tmp_path / "a") as node:
        root = await add(client, node, "x", DATA, "?chunker=size-100000&raw-leaves=true")
        await is_pinned(client, node, root)
    rot(tmp_path / "a", LEAF)
    async with running_node(tmp_path / "a") as node:
        lines = await checked(client, node, "?repair=true")
        assert "does not hold it" in next(line["reason"] for line in lines if "failed" in line)
        assert lines[-1]["checked"]["damaged"] == 1
