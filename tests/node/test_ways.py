"""Blocks of one DAG come by several ways at once, and the node tells each way's share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from aiohttp import ClientSession
from support.dags import leaves, node
from support.http_gateway import http_gateway
from support.node import eventually, running_node
from support.pairs import quick

from cluster.interfaces import Role
from node.config.sections import RetrievalConfig

LEAVES = leaves(60, size=1000)
ROOT = node([block.cid for block in LEAVES])


async def test_a_pin_comes_from_a_member_in_bulk_and_from_a_gateway_together(tmp_path: Path) -> None:
    async with http_gateway(LEAVES[20:]) as gateway:
        config = replace(quick(), retrieval=RetrievalConfig(gateways=(gateway.url,)))
        async with running_node(tmp_path / "a", quick(), offline=False) as a:
            token = str(await a.parts.invite(Role.TRUSTED, 3600))
            await a.parts.store.put_many([ROOT, *LEAVES[:20]])
            async with (
                running_node(tmp_path / "b", config, offline=False, token=token) as b,
                ClientSession() as client,
            ):

                async def reached() -> bool:
                    return b.parts.bulk is not None and a.parts.peer in b.parts.bulk.reached()

                async def pinned() -> bool:
                    async with client.get(f"{b.faces.api.url}/pins/{ROOT.cid}?local=true") as answer:
                        (info,) = (await answer.json())["peer_map"].values()
                    return bool(info["status"] == "pinned")

                await eventually(reached)
                async with client.post(f"{b.faces.api.url}/pins/{ROOT.cid}") as answer:
                    assert answer.status in (200, 202)
                await eventually(pinned)
                async with client.get(f"{b.faces.api.url}/v1/stats") as answer:
                    fetched = (await answer.json())["fetched"]
    size = 20_000 + len(ROOT.data)
    share = round(size / (size + 40_000), 4)
    assert fetched["bulk"] == {"blocks": 21, "bytes": size, "share": share}
    assert fetched["gateways"] == {"blocks": 40, "bytes": 40_000, "share": round(1 - share, 4)}
    assert fetched["members"] == {"blocks": 0, "bytes": 0, "share": 0.0}
