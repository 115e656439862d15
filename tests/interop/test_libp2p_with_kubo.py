"""Our libp2p against a real Kubo: dial, identify, ping and message streams, both ways, open and private."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from support.kubo import Kubo
from support.p2p_networks import SETTINGS, Collector, until_peer

from blockstore.common import varint
from cluster.ports import PeerOffline
from node.datadir.identity import Identity
from node.p2p.network import Libp2pNetwork, NetworkSettings, open_network
from node.p2p.portal import open_portal
from node.p2p.transport.psk import key_file

pytestmark = pytest.mark.interop
BITSWAP = "/ipfs/bitswap/1.2.0"
KEY = bytes(range(32))
KINDS = {
    "open": SETTINGS,
    "private": replace(SETTINGS, psk=KEY),
    "private, stock": replace(SETTINGS, psk=KEY, fast_noise=False, fast_yamux=False),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> NetworkSettings:
    return KINDS[request.param]


@pytest.fixture
def kubo(kind: NetworkSettings, tmp_path: Path) -> Iterator[Kubo]:
    peer = Kubo(tmp_path / "kubo", swarm_key=key_file(kind.psk) if kind.psk else "")
    with peer.running():
        yield peer


@asynccontextmanager
async def _network(kind: NetworkSettings) -> AsyncIterator[Libp2pNetwork]:
    async with open_portal() as portal, open_network(portal, Identity.generate(), kind) as network:
        yield network


async def _rpc(kubo: Kubo, verb: str, **arguments: str) -> list[dict[str, object]]:
    url = f"{kubo.rpc}/{verb}?{urllib.parse.urlencode(arguments)}"

    def ask() -> bytes:
        with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=30) as answer:
            return cast("bytes", answer.read())

    return [json.loads(line) for line in (await asyncio.to_thread(ask)).splitlines() if line]


async def _dialled(network: Libp2pNetwork, kubo: Kubo) -> str:
    return await network.connect(await asyncio.to_thread(kubo.address))


async def test_we_dial_and_ping_kubo_and_know_what_it_speaks(kind: NetworkSettings, kubo: Kubo) -> None:
    async with _network(kind) as network:
        peer = await _dialled(network, kubo)
        assert await network.ping(peer) > 0
        while (found := network.describe(peer)) is None:  # noqa: ASYNC110  # nobody else waits for it
            await asyncio.sleep(0.05)
        assert found.agent.startswith("kubo/")
        assert BITSWAP in found.protocols
        assert found.addresses


async def test_kubo_dials_and_pings_us_and_knows_what_we_speak(kind: NetworkSettings, kubo: Kubo) -> None:
    async with _network(kind) as network:
        network.on_message([BITSWAP], Collector())
        await _rpc(kubo, "swarm/connect", arg=network.addresses()[0])
        pongs = await _rpc(kubo, "ping", arg=network.self_id, count="3")
        assert sum(bool(pong["Success"]) and not pong["Text"] for pong in pongs) == 3
        (answer,) = await _rpc(kubo, "id", arg=network.self_id)
        assert str(answer["AgentVersion"]).startswith("pinfold/")
        assert BITSWAP in cast("list[str]", answer["Protocols"])
        assert network.addresses()[0] in cast("list[str]", answer["Addresses"])


async def test_messages_go_both_ways_on_bitswap_streams(kind: NetworkSettings, kubo: Kubo) -> None:
    """We answer what Kubo wants and it fetches the block: its want on its stream, our answer on ours."""
    block = os.urandom(200_000)
    cid = "f01551220" + hashlib.sha256(block).hexdigest()
    async with _network(kind) as network:
        seen = Collector()
        network.on_message([BITSWAP], seen)
        peer = await _dialled(network, kubo)
        fetch = asyncio.create_task(
            asyncio.to_thread(kubo.run, "block", "stat", "--timeout=20s", f"/ipfs/{cid}")
        )
        wanted = bytes.fromhex(cid[1:])
        while wanted not in b"".join(await seen.wait(1)):
            await seen.wait(len(seen.messages) + 1)
        # The wire form by hand (bitswap specification 1.2.0): payload = 3 { prefix = 1, data = 2 }
        prefix = bytes.fromhex("01551220")
        payload = b"\x0a\x04" + prefix + b"\x12" + varint.encode(len(block)) + block
        await network.send(peer, [BITSWAP], b"\x1a" + varint.encode(len(payload)) + payload)
        assert "Size: 200000" in await fetch
        assert set(seen.peers) == {peer}


async def test_a_kubo_that_goes_away_is_noticed_and_dialled_again(
    kind: NetworkSettings, tmp_path: Path
) -> None:
    kubo = Kubo(tmp_path / "kubo", swarm_key=key_file(kind.psk) if kind.psk else "")
    async with _network(kind) as network:
        with kubo.running() as daemon:
            peer = await _dialled(network, kubo)
            daemon.kill()
            await until_peer(network, peer, connected=False)
        with kubo.running():
            await until_peer(network, peer)
            await network.ping(peer)


async def test_another_key_does_not_connect(kubo: Kubo, kind: NetworkSettings) -> None:
    other = replace(kind, psk=b"another key of thirty-two bytes!")
    async with _network(other) as network:
        with pytest.raises(PeerOffline, match="cannot be reached"):
            await _dialled(network, kubo)
