"""Many clients pin and unpin at once: they share batches, and each is answered for its own request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from aiohttp import ClientSession
from support.node import eventually, running_node

from blockstore.cid import CID, RAW
from cluster.pin import Status
from node.node import Node

CLIENTS = 32
PINS = 320


def cid(number: int) -> CID:
    """One that carries its bytes."""
    return CID.identity(RAW, number.to_bytes(8))


async def at_once(client: ClientSession, method: str, urls: Sequence[str]) -> list[tuple[int, str]]:
    """Status and name, or message, of each answer; by 32 clients that each send one after the other."""
    todo, answers = iter(enumerate(urls)), dict[int, tuple[int, str]]()

    async def one_client() -> None:
        for number, url in todo:
            async with client.request(method, url) as response:
                answer = await response.json()
                answers[number] = response.status, answer.get("name") or answer.get("message", "")

    await asyncio.gather(*(one_client() for _ in range(CLIENTS)))
    return [answers[number] for number in range(len(urls))]


async def statuses(node: Node) -> set[Status]:
    tracking = node.parts.cluster.tracking
    return {(await tracking.status(cid(number))).status for number in range(PINS)}


async def test_pins_and_unpins_of_many_clients_share_batches_and_are_all_done(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, ClientSession() as client:
        pins = f"{node.faces.api.url}/pins"
        made = await at_once(client, "POST", [f"{pins}/{cid(n)}?name=pin-{n}" for n in range(PINS)])
        assert made == [(200, f"pin-{number}") for number in range(PINS)]
        assert await node.parts.pinset.count() == PINS
        assert node.parts.pinset.counts.written < PINS / 3

        async def all_pinned() -> bool:
            return await statuses(node) == {Status.PINNED}

        await eventually(all_pinned)
        gone = await at_once(client, "DELETE", [f"{pins}/{cid(number)}" for number in range(PINS)])
        assert gone == made
        assert await node.parts.pinset.count() == 0
        assert node.parts.pinset.counts.written < 2 * PINS / 3

        async def all_forgotten() -> bool:
            holds = [await node.parts.cluster.tracking.holds(cid(number), True) for number in range(PINS)]
            return not any(holds)

        await eventually(all_forgotten)
    async with running_node(tmp_path) as node:
        assert await node.parts.pinset.count() == 0


async def test_one_cid_by_all_clients_and_requests_that_are_refused(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, ClientSession() as client:
        pins = f"{node.faces.api.url}/pins"
        urls = [f"{pins}/{cid(0)}?keep=true&name=n{number}&meta-k{number}=v" for number in range(40)]
        urls[1::4] = [f"{pins}/{cid(number)}?replication=5" for number in range(1, 11)]
        answers = await at_once(client, "POST", urls)
        assert [status for status, _ in answers] == [200, 500, 200, 200] * 10
        assert "not enough peers" in answers[1][1]
        (pin,) = [pin async for pin in node.parts.pinset.pins()]
        assert len(pin.options.metadata) == 30, "none lost what another asked for"
