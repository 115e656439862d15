"""What peers say of themselves, and where wanted ones are said to be: odd data costs that peer alone."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from libp2p.identity.identify.pb.identify_pb2 import Identify
from multiaddr import Multiaddr  # type: ignore[import-untyped]  # py-multiaddr ships no types
from support.p2p_networks import SETTINGS, Collector, as_stranger, networks, until_peer

from blockstore.common import varint
from blockstore.common.guard import Guard
from cluster.ports import GossipMessage, PeerOffline
from node.datadir.identity import Identity
from node.p2p.network import open_network
from node.p2p.peering.mdns import Finder
from node.p2p.portal import open_portal
from node.p2p.swarm import identify
from node.p2p.transport import negotiation
from node.p2p.transport.connection import Connection


def _odd_description() -> bytes:
    message = Identify(
        listen_addrs=[
            b"",
            b"\xff" * 40,
            b"\x36\x05\xff\xfe\xfd\xfc\xfb\x06\x00\x01",
            b"\x36\x46" + b"a" * 70 + b"\x06\x00\x01",
            b"\x29\x00",
            Multiaddr(f"/ip4/10.0.0.1/tcp/1/p2p/{Identity.generate().peer_id}").to_bytes(),
            Multiaddr("/ip4/10.0.0.2/tcp/0").to_bytes(),
            Multiaddr("/ip4/10.0.0.3/tcp/3").to_bytes(),
        ]
    ).SerializeToString()
    message += b"\x32\x03\xff\xfe\xfd" + b"\x1a\x02\xff\xfe"  # an agent and a protocol that are not UTF-8
    return varint.encode(len(message)) + message


async def test_what_can_be_used_of_an_odd_description_is_and_the_rest_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "peers.json"
    async with networks(1, replace(SETTINGS, peer_file=file)) as (portal, (a,)):

        async def describe(connection: Connection) -> str:
            pipe = await connection.muxer.open_stream()
            await negotiation.ask(pipe, [identify.PUSH])
            await pipe.write(_odd_description())
            await pipe.close()
            await pipe.read()
            ping = await connection.muxer.open_stream()
            await negotiation.ask(ping, ["/ipfs/ping/1.0.0"])
            while not a.describe(peer := next(iter(a.peers()), "")):  # noqa: ASYNC110 - told on the other loop
                await trio.sleep(0.01)
            found = a.describe(peer)
            assert found is not None
            assert (found.agent, found.protocols) == ("", ())
            assert found.addresses == ("/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.3/tcp/3")
            return peer

        stranger = await as_stranger(portal, a.addresses()[0], describe)
        assert a.addresses(stranger)
    assert stranger in json.loads(file.read_text())


async def test_a_peer_said_to_be_nowhere_is_offline_and_others_are_reached(tmp_path: Path) -> None:
    file, guard = tmp_path / "peers.json", Guard()
    async with networks(1) as (portal, (a,)):
        nowhere = Identity.generate().peer_id
        entries = {
            nowhere: {"addresses": ["/dns4/does-not-exist.invalid/tcp/1"], "wanted": True},
            "not a peer": {"addresses": [f"/dns4/{'a' * 70}/tcp/1"], "wanted": True},
            Identity.generate().peer_id: {"addresses": ["/dns4/☃/tcp/1"], "wanted": True},
            a.self_id: {"addresses": [a.addresses()[0].partition("/p2p/")[0]], "wanted": True},
        }
        file.write_text(json.dumps(entries))
        settings = replace(SETTINGS, peer_file=file)
        async with open_network(portal, Identity.generate(), settings, guard) as b:
            await until_peer(b, a.self_id)
            for host in ("a" * 70, "☃", "a..b", "\udfff", "x\0y"):
                with pytest.raises(PeerOffline):
                    await b.connect(f"/dns4/{host}/tcp/1/p2p/{nowhere}")
            with pytest.raises(PeerOffline, match="cannot be reached"):
                await b.connect(f"/dns4/does-not-exist.invalid/tcp/1/p2p/{nowhere}")
    assert guard.failures == 0


class _Network:
    """One to which mDNS brings addresses."""

    self_id = Identity.generate().peer_id

    def __init__(self) -> None:
        self.dialled: list[str] = []

    def addresses(self, peer: str | None = None) -> tuple[str, ...]:
        return (f"/ip4/127.0.0.1/tcp/1/p2p/{self.self_id}",)

    async def connect(self, address: str) -> str:
        self.dialled.append(address)
        if "10.0.0.1" in address:
            raise RuntimeError("a bug")
        raise PeerOffline("nobody there")


async def test_odd_announcements_on_the_local_network_cost_themselves_only() -> None:
    network, guard = _Network(), Guard()
    finder = Finder(network, guard)

    async def look_up() -> None:
        raise ValueError("an announcement that nobody can read")

    finder.start("odd._p2p._udp.local.", look_up())
    one, other = (Identity.generate().peer_id for _ in range(2))
    addresses = [
        "/dns4/☃/tcp/1/p2p/x",
        "",
        f"/ip4/10.0.0.1/tcp/1/p2p/{one}",
        f"/ip4/10.0.0.2/tcp/1/p2p/{other}",
    ]
    await finder.found(addresses)
    assert network.dialled == addresses[2:]
    await asyncio.sleep(0)
    await finder.close()
    assert guard.failures == 2


async def test_gossip_handlers_that_fail_cost_that_message_only() -> None:
    async with open_portal() as portal:
        guard, settings = Guard(), replace(SETTINGS, gossip=True)
        async with (
            open_network(portal, Identity.generate(), settings, guard) as a,
            open_network(portal, Identity.generate(), settings) as b,
        ):
            seen = Collector()

            async def picky(message: GossipMessage) -> None:
                await seen.gossip(message)
                if message.data == b"bad":
                    raise RuntimeError("cannot stomach it")

            a.subscribe("t", picky)
            await b.connect(a.addresses()[0])
            async with asyncio.timeout(60):
                while b"good" not in seen.messages:
                    await b.publish("t", b"bad")
                    await b.publish("t", b"good")
                    await asyncio.sleep(0.05)
            assert guard.failures >= 1
