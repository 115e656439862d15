"""Connections that were made to ask something go when idle or too many; those that are wanted stay."""

from __future__ import annotations

import asyncio

from support.clock import virtual_time

from blockstore.common.tasks import background
from node.p2p.peering.visits import IDLE, MOST, Visits


class Calls:
    """Remembers whom it hung up on."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def hang_up(self, peer: str) -> None:
        self.ended.append(peer)


@virtual_time
async def test_an_idle_visit_ends_and_one_in_use_or_wanted_stays() -> None:
    calls = Calls()
    visits = Visits(calls.hang_up, lambda peer: peer == "wanted")
    for peer in ("idle", "busy", "wanted", "left"):
        visits.begin(peer)
    visits.peer_changed("left", False)
    visits.use("stranger")
    async with background(visits.run()):
        for _ in range(10):
            await asyncio.sleep(IDLE / 5)
            visits.use("busy")
    assert calls.ended == ["idle"]
    assert len(visits) == 1


@virtual_time
async def test_of_too_many_the_longest_unused_go() -> None:
    calls = Calls()
    visits = Visits(calls.hang_up, lambda peer: False)
    for number in range(MOST + 3):
        visits.begin(str(number))
    visits.use("0")
    async with background(visits.run()):
        await asyncio.sleep(15)
    assert calls.ended == ["1", "2", "3"]
