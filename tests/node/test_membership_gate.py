"""Whole nodes over loopback: what a holder of the key gets, and how members meet for the first time."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.node import any_ports, eventually, running_node
from support.p2p_networks import SETTINGS
from support.pairs import quick

from bitswap.message import PROTOCOLS, Message, WantlistEntry
from bitswap.message_codec import encode
from bitswap.network import PeerUnreachable
from blockstore.block import Block
from blockstore.errors import BlockNotFound
from cluster.interfaces import Role
from cluster.metrics import metric_gossip
from cluster.ports import CallFailed, GossipMessage
from node.config.sections import Config
from node.datadir.cluster_file import ClusterFile
from node.datadir.folder import DataFolder
from node.datadir.identity import Identity
from node.datadir.init import create_node
from node.node import Node, open_node
from node.p2p.network import Libp2pNetwork, open_network
from node.p2p.portal import open_portal


@asynccontextmanager
async def stranger(secret: bytes) -> AsyncIterator[Libp2pNetwork]:
    """A peer that once held a token."""
    async with open_portal() as portal:
        settings = replace(SETTINGS, psk=secret, gossip=True)
        async with open_network(portal, Identity.generate(), settings) as network:
            yield network


async def test_who_only_has_the_key_gets_no_block_no_gossip_and_no_answer(tmp_path: Path) -> None:
    secret_block = Block.of(b"for members only")
    async with running_node(tmp_path / "a", quick(), offline=False) as node:
        await node.parts.store.put_many([secret_block])
        belonging = ClusterFile.read(DataFolder(tmp_path / "a").cluster)
        async with stranger(belonging.secret) as network:
            heard: list[GossipMessage] = []

            async def hear(message: GossipMessage) -> None:
                heard.append(message)

            for topic in (f"pinfold/pinset/{belonging.genesis.cluster_id.hex()}", metric_gossip.TOPIC):
                network.subscribe(topic, hear)
            peer = await network.connect(node.parts.cluster.peers.us().addresses[0])
            for method in ("node/id", "pinset/heads", "pinset/batches", "names/get", "pins/statuses"):
                with pytest.raises(CallFailed, match="for members of this cluster"):
                    await network.call(peer, method, b"")
            want = encode(Message((WantlistEntry(secret_block.cid),)))
            with pytest.raises(PeerUnreachable, match="speaks none of"):
                await network.send(peer, PROTOCOLS, want)
            assert not heard
        assert node.parts.guard.failures == 0


def fixed_ports(config: Config) -> Config:
    """Ports that stay the same over restarts."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    free = any_ports(config)
    return replace(free, cluster=replace(free.cluster, port=port))


@asynccontextmanager
async def member(root: Path, config: Config, token: str | None = None) -> AsyncIterator[Node]:
    folder = DataFolder(root)
    if not folder.exists:
        create_node(folder, token, root.name)
    async with open_node(config, folder) as node:
        yield node


def knows(node: Node, count: int) -> Callable[[], Awaitable[bool]]:
    """Whether so many members are listed there."""

    async def look() -> bool:
        return len(node.parts.cluster.members.members()) == count

    return look


async def test_two_members_meet_of_whom_one_joined_while_the_other_was_away(tmp_path: Path) -> None:
    """b has never heard of c, nor can a tell: c proves itself by the grant that it shows."""
    a, b, c = (fixed_ports(quick()) for _ in range(3))
    async with member(tmp_path / "a", a) as first:
        token = str(await first.parts.invite(Role.TRUSTED, 3600))
        async with member(tmp_path / "b", b, token):
            await eventually(knows(first, 2))
        token = str(await first.parts.invite(Role.TRUSTED, 3600))
        async with member(tmp_path / "c", c, token) as third:
            await eventually(knows(third, 3))
    async with member(tmp_path / "b", b) as second, member(tmp_path / "c", c) as third:
        await eventually(knows(second, 3))
        block = Block.of(b"from c")
        await third.parts.store.put_many([block])
        assert (await second.parts.blocks.get(block.cid)).data == block.data


async def test_a_member_that_was_removed_is_cut_and_gets_nothing_more(tmp_path: Path) -> None:
    async with running_node(tmp_path / "a", quick(), offline=False) as a:
        token = str(await a.parts.invite(Role.TRUSTED, 3600))
        create_node(DataFolder(tmp_path / "b"), token, "b")
        async with open_node(any_ports(quick()), DataFolder(tmp_path / "b")) as b:
            await eventually(knows(a, 2))
            removed = b.parts.peer
            await a.parts.cluster.members.remove(removed)

            async def gone() -> bool:
                return removed not in a.parts.cluster.peers.us().connected

            await eventually(gone)
            await a.parts.store.put_many([Block.of(b"later")])
            with pytest.raises((BlockNotFound, TimeoutError)):
                async with asyncio.timeout(0.5):
                    await b.parts.blocks.get(Block.of(b"later").cid)
