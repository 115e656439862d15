"""Two nodes that never met: one has the other's gateway as its router."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from aiohttp import ClientSession
from support.node import running_node

from blockstore.block import Block
from node.config.sections import Config, RoutingConfig
from node.datadir.private_key import PrivateKey
from node.names.name import NamePath, parse_target
from node.names.publishing import Publication
from node.names.signing import name_of

BLOCK, OURS = Block.of(b"held by the one that is found"), Block.of(b"held by who asks")
KEY, OTHER = PrivateKey.generate(), PrivateKey.generate()


async def test_content_and_names_are_found_by_a_router(tmp_path: Path) -> None:
    async with running_node(tmp_path / "holder", offline=False) as holder, ClientSession() as client:
        await holder.parts.store.put_many([BLOCK])
        await holder.parts.publishing.publish(KEY, Publication(parse_target(f"/ipfs/{BLOCK.cid}")))
        config = replace(Config(), routing=RoutingConfig(routers=(holder.faces.gateway.url,)))
        async with running_node(tmp_path / "guest", config, offline=False) as guest:
            assert guest.parts.swarm is not None
            assert not guest.parts.swarm.peers()
            async with client.get(f"{guest.faces.gateway.url}/ipns/{name_of(KEY)}") as answer:
                assert await answer.read() == BLOCK.data
            assert guest.parts.swarm.peers() == {holder.parts.peer}
            assert guest.parts.swarm.kept() == frozenset()
            await guest.parts.publishing.publish(OTHER, Publication(parse_target(f"/ipfs/{OURS.cid}")))
        found = await holder.parts.names.resolve(NamePath(name_of(OTHER)))
        assert str(found.path) == f"/ipfs/{OURS.cid}"


async def test_what_no_router_knows_fails_in_its_time(tmp_path: Path) -> None:
    async with running_node(tmp_path / "router", offline=False) as router, ClientSession() as client:
        config = replace(Config(), routing=RoutingConfig(routers=(router.faces.gateway.url,)))
        async with running_node(tmp_path / "guest", config, offline=False) as guest:
            async with client.get(f"{guest.faces.gateway.url}/ipfs/{OURS.cid}") as answer:
                text = await answer.text()
            assert answer.status == 404, text
            assert "routing: no provider" in text
