"""Members as they describe themselves; dialling one, and taking one off the list."""

from __future__ import annotations

import asyncio

import pytest
from support.clock import virtual_time
from support.memory_cluster import MemoryCluster
from support.peer_keys import Key

from cluster.errors import (
    BadAddress,
    CannotRemove,
    UnknownMember,
    UntrustedPeer,
)
from cluster.ports import PeerOffline


@virtual_time
async def test_members_describe_themselves_and_the_unreachable_one_has_an_error() -> None:
    world = MemoryCluster(3)
    async with world.member(0) as first, world.member(1):
        await asyncio.sleep(2)
        nodes = {node.id: node async for node in first.peers.all()}
        assert set(nodes) == set(world.peers)
        assert nodes[world.peers[1]].peer_name == "m1"
        assert nodes[world.peers[1]].version == "1.1.6+test"
        assert nodes[world.peers[1]].ipfs.id == "Qmm1"
        assert nodes[world.peers[1]].cluster_peers == tuple(world.peers)
        assert "cannot be reached" in nodes[world.peers[2]].error
        assert nodes[world.peers[2]].peer_name == "m2"
        graph = await first.peers.graph()
        assert graph.peer == world.peers[0]
        assert graph.cluster_links == {world.peers[0]: (world.peers[1],), world.peers[1]: (world.peers[0],)}
        assert graph.ipfs_ids == {world.peers[0]: "Qmm0", world.peers[1]: "Qmm1"}


@virtual_time
async def test_members_are_connected_by_address_and_removed_by_name() -> None:
    world = MemoryCluster(3)
    async with world.member(0) as first, world.member(1):
        address = f"/ip4/127.0.0.1/tcp/9096/p2p/{world.peers[1]}"
        assert (await first.peers.connect(address)).name == "m1"
        for odd in ("", "hello", "/ip4/127.0.0.1/tcp/9096", f"/dns4/☃/tcp/1/p2p/{world.peers[1]}"):
            with pytest.raises(BadAddress):
                await first.peers.connect(odd)
        with pytest.raises(BadAddress, match="another member"):
            await first.peers.connect(address.replace(world.peers[1], world.peers[0]))
        with pytest.raises(UntrustedPeer, match="not a member"):
            await first.peers.connect(address.replace(world.peers[1], Key(77).peer_id))
        with pytest.raises(PeerOffline):
            await first.peers.connect(address.replace(world.peers[1], world.peers[2]))
        with pytest.raises(UnknownMember, match="pinfold peers"):
            await first.peers.remove("nobody")
        with pytest.raises(CannotRemove, match="this node itself"):
            await first.peers.remove("m0")
        assert (await first.peers.remove("m2")).peer == world.peers[2]
        with pytest.raises(UnknownMember):
            await first.peers.remove("m2")
