"""Who may speak on the members' network, tried by peers that have its key and are no members."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from support.p2p_networks import SETTINGS, Collector, until_peer

from bitswap.network import PeerUnreachable
from blockstore.common.guard import Guard
from cluster.ports import CallFailed
from node.datadir.identity import Identity
from node.p2p.admission.gate import MembersGate
from node.p2p.members_network import MembersNetwork
from node.p2p.network import Libp2pNetwork, open_network
from node.p2p.portal import open_portal

PRIVATE = replace(SETTINGS, psk=b"k" * 32, gossip=True)
PROTOCOL = "/test/blocks/1"


@dataclass(frozen=True)
class Peer:
    network: Libp2pNetwork
    gate: MembersGate
    members: MembersNetwork
    guard: Guard


@asynccontextmanager
async def peers(count: int, join_timeout: float = 60.0) -> AsyncIterator[list[Peer]]:
    """Peers of one private network, each with a gate of its own, shut as yet."""
    async with AsyncExitStack() as stack:
        portal = await stack.enter_async_context(open_portal())
        made = []
        for _ in range(count):
            identity, guard = Identity.generate(), Guard()
            gate = MembersGate(identity.peer_id, ["join"])
            settings = replace(PRIVATE, join_timeout=join_timeout)
            network = await stack.enter_async_context(open_network(portal, identity, settings, guard, gate))
            made.append(Peer(network, gate, MembersNetwork(network, gate), guard))
        yield made


def admit(members: list[Peer], at: list[Peer]) -> None:
    for peer in at:
        peer.gate.admit([one.network.self_id for one in members])


async def answer(_peer: str, _request: bytes) -> bytes:
    return b"yes"


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not what():  # noqa: ASYNC110 - what gossip reaches has no event of its own
            await asyncio.sleep(0.02)


async def test_a_stranger_with_the_key_gets_nothing_but_the_calls_to_join() -> None:
    async with peers(2) as (a, stranger):
        admit([a], at=[a])
        admit([a, stranger], at=[stranger])  # it believes what it likes
        a.network.serve("join", answer)
        a.network.serve("pins", answer)
        seen = Collector()
        a.members.on_message([PROTOCOL], seen)
        await stranger.network.connect(a.network.addresses()[0])
        assert await stranger.network.call(a.network.self_id, "join", b"") == b"yes"
        with pytest.raises(CallFailed, match='"pins" is for members of this cluster'):
            await stranger.network.call(a.network.self_id, "pins", b"")
        with pytest.raises(PeerUnreachable, match="speaks none of"):
            await stranger.network.send(a.network.self_id, [PROTOCOL], b"give")
        with pytest.raises(PeerUnreachable, match="not a member"):
            await a.members.send(stranger.network.self_id, [PROTOCOL], b"take")
        assert stranger.network.self_id in a.network.peers()
        assert not a.members.peers()
        assert not seen.messages


async def test_a_stranger_hears_no_gossip_and_none_of_its_own_is_heard() -> None:
    async with peers(3) as (a, b, stranger):
        admit([a, b], at=[a, b])
        admit([a, b, stranger], at=[stranger])
        heard = {peer: Collector() for peer in (a, b, stranger)}
        for peer, collector in heard.items():
            peer.network.subscribe("pins", collector.gossip)
        await a.network.connect(b.network.addresses()[0])
        await stranger.network.connect(a.network.addresses()[0])
        await stranger.network.connect(b.network.addresses()[0])
        while len(heard[b].messages) <= 10:
            await a.network.publish("pins", b"a")
            await stranger.network.publish("pins", b"forged")
            await asyncio.sleep(0.05)
        assert set(heard[b].peers) == {a.network.self_id}
        assert not heard[stranger].messages
        assert not heard[a].messages


async def test_who_becomes_a_member_is_there_at_once_on_the_same_connection() -> None:
    async with peers(2) as (a, b):
        admit([a], at=[a])
        admit([a, b], at=[b])
        seen, told = Collector(), list[tuple[str, bool]]()
        a.members.on_message([PROTOCOL], seen)
        a.members.on_peer_change(lambda peer, here: told.append((peer, here)))
        a.network.subscribe("pins", seen.gossip)
        b.network.subscribe("pins", Collector().gossip)
        await b.network.connect(a.network.addresses()[0])
        await until_peer(a.network, b.network.self_id)
        admit([a, b], at=[a])
        assert told == [(b.network.self_id, True)]
        await b.members.send(a.network.self_id, [PROTOCOL], b"block")
        assert await seen.wait(1) == [b"block"]
        async with asyncio.timeout(60):
            while len(seen.messages) < 2:
                await b.network.publish("pins", b"gossip")
                await asyncio.sleep(0.05)
        assert seen.messages[1] == b"gossip"


async def test_a_removed_member_is_cut_at_once_everywhere() -> None:
    async with peers(3) as trio:
        a, b, removed = trio
        admit([a, b, removed], at=trio)
        await removed.network.connect(a.network.addresses()[0])
        await b.network.connect(removed.network.addresses()[0])
        await until_peer(removed.network, b.network.self_id)
        await until_peer(a.network, removed.network.self_id)
        gone = [asyncio.create_task(until_peer(p.network, removed.network.self_id, False)) for p in (a, b)]
        await asyncio.sleep(0)
        admit([a, b], at=[a, b])
        await asyncio.gather(*gone)
        assert not a.members.peers() & {removed.network.self_id}


async def test_who_does_not_join_in_time_is_disconnected_and_may_come_again() -> None:
    async with peers(2, join_timeout=0.3) as (a, stranger):
        admit([a], at=[a])
        told: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()
        a.network.on_peer_change(lambda peer, here: told.put_nowait((peer, here)))
        for _ in range(2):
            await stranger.network.connect(a.network.addresses()[0])
            assert await told.get() == (stranger.network.self_id, True)
            assert await told.get() == (stranger.network.self_id, False)


async def test_before_the_members_are_known_nobody_speaks_and_nobody_is_cut() -> None:
    async with peers(2, join_timeout=0.1) as (a, b):
        await b.network.connect(a.network.addresses()[0])
        await until_peer(a.network, b.network.self_id)
        assert not a.members.peers()
        admit([a, b], at=[a, b])
        assert a.members.peers() == {b.network.self_id}
        await a.network.ping(b.network.self_id)


async def test_what_a_call_handler_did_not_foresee_is_counted_and_told_to_the_caller() -> None:
    async with peers(2) as pair:
        a, b = pair
        admit(pair, at=pair)

        async def bug(_peer: str, _request: bytes) -> bytes:
            raise KeyError("bug")

        def deaf(_peer: str, _connected: bool) -> None:
            raise RuntimeError("cannot hear")

        a.network.serve("bug", bug)
        a.network.on_peer_change(deaf)
        await b.network.connect(a.network.addresses()[0])
        with pytest.raises(CallFailed, match="bug"):
            await b.network.call(a.network.self_id, "bug", b"")
        assert a.guard.failures == 2
        await b.network.ping(a.network.self_id)
