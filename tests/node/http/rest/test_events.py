"""/v1/events over a running node: what is told, from where it goes on, and what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest
from support.event_stream import listening
from support.memory_cluster import cid
from support.node import running_node

from blockstore.block import Block
from cluster.interfaces import Role
from cluster.pin import PinOptions, Wish
from node.http.rest.events import MAX_CIDS
from node.jobs.job import JobKind
from node.node import Node


async def pinned(node: Node, data: bytes, name: str = "") -> str:
    block = Block.of(data)
    await node.parts.blocks.put_many([block])
    await node.parts.add_service.pin_root(block.cid, Wish(PinOptions(name=name)))
    return str(block.cid)


async def test_a_pin_is_told_when_it_is_made_changed_and_removed_and_its_status_too(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, listening(node) as stream:
        us = node.parts.peer
        assert (await stream.next()).kind == "hello"
        one = await pinned(node, b"one", "first")
        await stream.until(type="pin", change="added", cid=one, name="first", author=us)
        await stream.until(type="status", cid=one, status="pinned", peer=us)
        await pinned(node, b"one", "second")
        await stream.until(type="pin", change="changed", cid=one, name="second", author=us)
        await node.parts.cluster.unpin(Block.of(b"one").cid)
        await stream.until(type="pin", change="removed", cid=one, name="second", author=us)
        await stream.until(type="status", cid=one, status="unpinned")


async def test_a_pin_that_cannot_be_had_says_why(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, listening(node, "?types=status") as stream:
        await node.parts.cluster.pin(cid(1), PinOptions())
        await stream.until(status="pinning", cid=str(cid(1)))
        failed = await stream.until(status="pin_error", cid=str(cid(1)))
        assert failed.facts["error"]


async def test_a_listener_goes_on_behind_its_last_event(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node:
        async with listening(node, "?types=pin") as stream:
            first = await pinned(node, b"first")
            heard = await stream.until(cid=first)
        second = await pinned(node, b"second")
        for search, headers in ((f"&since={heard.id}", {}), ("&since=nonsense", {"Last-Event-ID": heard.id})):
            async with listening(node, f"?types=pin{search}", headers) as stream:
                assert (await stream.next()).says(cid=second)
        async with listening(node, "?types=pin&since=oldest") as stream:
            assert (await stream.next()).says(cid=first)


async def test_who_asks_for_what_is_gone_is_told_so(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node:
        one = await pinned(node, b"one")
        feed = node.parts.events
        for asked in ("17-1", str(feed.id_of(10**6))):
            async with listening(node, f"?types=pin&since={asked}") as stream:
                missed = await stream.next()
                assert missed.kind == "missed"
                assert missed.says(asked=asked, oldest=str(feed.id_of(1)))
                assert (await stream.next()).says(cid=one)


async def test_a_listener_names_the_cids_that_it_is_about(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node:
        wanted = Block.of(b"wanted").cid
        async with listening(node, f"?cids={wanted}&types=pin") as stream:
            assert (await stream.next()).kind == "hello"
            await pinned(node, b"other")
            await pinned(node, b"wanted")
            assert (await stream.next()).says(type="pin", cid=str(wanted))


@pytest.mark.parametrize(
    "search",
    [
        "types=pins",
        "since=7",
        "since=x-y",
        "cids=nonsense",
        "typ=pin",
        "types=,",
        "cids=,%20,",
        f"types=member,job&cids={cid(1)}",
        "types=pin&types=status",
        f"cids={','.join([str(cid(1))] * (MAX_CIDS + 1))}",
    ],
)
async def test_what_is_not_understood_is_refused(tmp_path: Path, search: str) -> None:
    async with running_node(tmp_path) as node, aiohttp.ClientSession() as session:
        response = await session.get(f"{node.faces.api.url}/v1/events?{search}")
        assert response.status == 400
        assert (await response.json())["code"] == 400


async def test_a_node_ends_at_once_though_somebody_listens(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with running_node(tmp_path) as node:
        session = aiohttp.ClientSession()
        response = await session.get(f"{node.faces.api.url}/v1/events")
        began = loop.time()
    assert loop.time() - began < 1.5
    assert b"hello" in await response.read()
    await session.close()


async def test_a_change_is_heard_of_on_another_member(tmp_path: Path) -> None:
    async with running_node(tmp_path / "a", offline=False) as a:
        token = str(await a.parts.invite(Role.TRUSTED, 600.0))
        async with (
            listening(a, "?types=member") as stream,
            running_node(tmp_path / "b", offline=False, token=token) as b,
        ):
            joined = await stream.until(change="joined", peer=b.parts.peer)
            assert joined.says(role="trusted")
            await stream.until(change="seen", peer=b.parts.peer)
            async with listening(b, "?types=pin") as other:
                one = await pinned(a, b"here", "there")
                await other.until(change="added", cid=one, name="there", author=a.parts.peer)
                await a.parts.cluster.unpin(Block.of(b"here").cid)
                await other.until(change="removed", cid=one, author=a.parts.peer)


async def test_long_work_is_told_when_it_begins_and_ends(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, listening(node, "?types=job") as stream:
        with node.parts.jobs.running(JobKind.GC, "this node", "blocks"):
            begun = await stream.until(kind="gc", state="running", unit="blocks")
        await stream.until(job=begun.facts["job"], state="done")
