"""Origins of a pin: dialled while it is fetched, named by their peer ids, and never waited for."""

import asyncio

import pytest
from support.clock import virtual_time

from cluster.ports import PeerOffline
from node.services.origins import origins_reached

ONE, TWO = "/ip4/192.0.2.1/tcp/1/p2p/QmOne", "/dns4/example.org/tcp/2/p2p/QmTwo"


@virtual_time
async def test_they_are_dialled_beside_the_fetch_and_named_by_peer() -> None:
    dialled: list[str] = []

    async def connect(address: str) -> str:
        dialled.append(address)
        if address == ONE:
            raise PeerOffline("away")
        await asyncio.sleep(3600)
        return ""

    async with asyncio.timeout(60), origins_reached([ONE, TWO, "QmMember", "QmOne"], connect) as names:
        assert names == ["QmOne", "QmTwo", "QmMember"]
        await asyncio.sleep(1)
    assert dialled == [ONE, TWO]


@virtual_time
async def test_so_many_are_dialled_and_no_more() -> None:
    dialled: list[str] = []

    async def connect(address: str) -> str:
        dialled.append(address)
        return ""

    hints = [f"/ip4/192.0.2.1/tcp/{port}/p2p/Qm{port}" for port in range(1, 100)]
    async with origins_reached(hints, connect):
        await asyncio.sleep(1)
    assert len(dialled) == 16


@pytest.mark.parametrize("hints", [[], ["QmMember"], [ONE]])
async def test_without_an_open_network_none_is(hints: list[str]) -> None:
    async with origins_reached(hints, None) as names:
        assert names == [hint.rpartition("/")[2] for hint in hints]
