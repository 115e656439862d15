"""The list of all statuses: its fast form says byte for byte what each status alone would say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from random import Random

import pytest
from support.clock import virtual_time
from support.memory_cluster import EPOCH, MemoryCluster, cid

from cluster.calls.global_page import GlobalPage
from cluster.cluster import Cluster
from cluster.pin import EVERYWHERE, Pin, PinMode, PinOptions, Status
from cluster.ports import Attempt, LocalPin, OperationKind
from cluster.tracking.status import EVERY_STATUS
from node.http.go import gojson
from node.http.rest import shapes
from node.http.rest.shapes import PingOf
from node.http.rest.status_lines import pieces

NOW = 1.5e9
NAMES = ["", "plain", "<a href=x>&amp;\u2028\u2029", 'quo"te\\ \x1f', "näme ★ 𝄞"]
COUNT = 120


def fill(world: MemoryCluster, chance: Random) -> None:
    """Pins of all kinds, and members that have, miss, and failed at some of them."""
    for number in range(COUNT):
        if chance.random() < 0.9:
            world.shared.pins[cid(number)] = some_pin(number, world.peers, chance)
        for machine in world.machines:
            if chance.random() < 0.7:
                complete, recursive = chance.random() < 0.8, chance.random() < 0.7
                blocks = chance.randrange(5)
                machine.pins.roots[cid(number)] = LocalPin(cid(number), complete, blocks, 9 << 40, recursive)
            if chance.random() < 0.2:
                kind = chance.choice(list(OperationKind))
                error = chance.choice(NAMES)
                failed = EPOCH - chance.random() * 100
                attempt = Attempt(cid(number), kind, chance.randrange(9), error, failed, EPOCH + 1e6)
                machine.attempts.rows[cid(number)] = attempt
    world.missing.update(cid(number) for number in range(0, COUNT, 7))
    world.stuck.update(cid(number) for number in range(0, COUNT, 5))


def some_pin(number: int, peers: Sequence[str], chance: Random) -> Pin:
    holders = chance.sample(peers, chance.randint(0, 2))
    most = len(holders) or EVERYWHERE
    options = PinOptions(
        name=chance.choice(NAMES),
        mode=chance.choice(list(PinMode)),
        replication_min=chance.choice([most, 1]),
        replication_max=most,
        expire_at=chance.choice([None, 4e9 + chance.random()]),
        metadata=dict(chance.choices([("b", "<&>"), ("a", "ü"), ("", "")], k=chance.randrange(3))),
        origins=tuple(chance.choices(["/ip4/1.2.3.4/tcp/1/p2p/x&y"], k=chance.randrange(2))),
        max_size=chance.choice([0, 0, 5000]),
        deadline=chance.choice([0, 0, 4_000_000_000]),
        attempts=chance.choice([0, 0, 3]),
    )
    created = chance.choice([EPOCH - 1, EPOCH - 0.123456, EPOCH - chance.random() * 1e9])
    return Pin(cid(number), options, tuple(holders), created, chance.randrange(9))


async def slow(cluster: Cluster, wanted: frozenset[Status], local: bool) -> list[bytes]:
    found = cluster.statuses.all(wanted, local)
    return [gojson.encode(shapes.status(info, NOW, cluster.ping_of)) async for info in found]


async def fast(cluster: Cluster, wanted: frozenset[Status], local: bool) -> list[bytes]:
    return await lines(cluster.statuses.pages(wanted, local), cluster.ping_of)


async def lines(pages: AsyncGenerator[GlobalPage], ping_of: PingOf) -> list[bytes]:
    return b"".join([piece async for page in pages for piece in pieces(page, NOW, ping_of)]).splitlines(
        keepends=True
    )


@pytest.mark.parametrize("down", [(), (1,), (1, 2)])
@pytest.mark.parametrize("seed", range(4))
def test_every_line_is_the_one_that_the_status_alone_would_give(seed: int, down: Sequence[int]) -> None:
    chance = Random(seed)
    some = frozenset(chance.sample(list(Status), 4))

    @virtual_time
    async def scenario() -> None:
        world = MemoryCluster(3)
        fill(world, chance)
        async with AsyncExitStack() as stack:
            first, *_ = [
                await stack.enter_async_context(world.member(number)) for number in {0, 1, 2} - set(down)
            ]
            await asyncio.sleep(3.5)
            for wanted in (EVERY_STATUS, some, some | {Status.CLUSTER_ERROR}, frozenset({Status.PINNED})):
                for local in (False, True):
                    expected, found = await asyncio.gather(
                        slow(first, wanted, local), fast(first, wanted, local)
                    )
                    assert found == expected
            listed = await fast(first, EVERY_STATUS, False)
            assert len(listed) > 0.8 * COUNT
            assert all(b'"ipfs_peer_id":"Qmm' in line for line in listed)

    scenario()
