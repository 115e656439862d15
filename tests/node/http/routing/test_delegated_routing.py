"""Delegated Routing V1 of a real node: what is held, where peers are, names, and what is asked wrongly."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientSession
from multidict import CIMultiDictProxy
from support.ipns import Key
from support.json_value import Json
from support.node import running_node
from yarl import URL

from blockstore.block import Block
from blockstore.cid import CID, DAG_PB
from cluster.pin import PinOptions
from node.config.sections import Config, GatewayConfig
from node.names.name import IpnsName
from node.node import Node

BLOCK = Block.of(b"held here")
ABSENT = Block.of(b"held nowhere").cid
JSON, NDJSON = "application/json", "application/x-ndjson"
RECORD = "application/vnd.ipfs.ipns-record"
KEY = Key(1)


class Routing:
    """A node, asked over HTTP."""

    def __init__(self, node: Node, client: ClientSession) -> None:
        self.node = node
        self._client = client
        self.status = 0
        self.headers: Mapping[str, str] | CIMultiDictProxy[str] = {}

    async def __call__(self, path: str, method: str = "GET", data: bytes = b"", **headers: str) -> bytes:
        url = URL(f"{self.node.faces.gateway.url}/routing/v1/{path}", encoded=True)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._client.request(method, url, data=data or None, headers=named) as answer:
            self.status, self.headers = answer.status, answer.headers
            return await answer.read()

    async def json(self, path: str) -> Json:
        body = await self(path, Accept=JSON)
        assert (self.status, self.headers["Content-Type"]) == (200, JSON), body
        return json.loads(body)

    async def lines(self, path: str) -> list[Json]:
        body = await self(path, Accept=f"{NDJSON}, {JSON}")
        assert (self.status, self.headers["Content-Type"]) == (200, NDJSON), body
        return [json.loads(line) for line in body.splitlines()]


@asynccontextmanager
async def routing(folder: Path, *, offline: bool = False, on: bool = True) -> AsyncIterator[Routing]:
    config = Config(gateway=GatewayConfig(routing=on))
    async with running_node(folder, config, offline=offline) as node, ClientSession() as client:
        await node.parts.store.put_many([BLOCK])
        yield Routing(node, client)


async def test_what_is_here_is_provided_by_this_node_at_its_addresses(tmp_path: Path) -> None:
    async with routing(tmp_path) as ask:
        us = ask.node.parts.peer
        swarm = ask.node.parts.swarm
        assert swarm is not None
        addresses = [address.removesuffix(f"/p2p/{us}") for address in swarm.addresses(us)]
        assert "/tcp/" in addresses[0]
        located = {"Schema": "peer", "ID": us, "Addrs": addresses}
        record = {**located, "Protocols": ["transport-bitswap"]}
        for cid in (BLOCK.cid, CID.v0(BLOCK.cid.multihash), CID.v1(DAG_PB, BLOCK.cid.multihash)):
            assert await ask.json(f"providers/{cid}") == {"Providers": [record]}
            assert "max-age=300," in ask.headers["Cache-Control"]
            assert await ask.lines(f"providers/{cid}") == [record]
        name = IpnsName.parse(us)
        for text in (us, str(name), name.cid.in_base("b"), CID.v1(DAG_PB, name.multihash)):
            assert await ask.json(f"peers/{text}") == {"Peers": [located]}
        assert await ask.lines(f"peers/{us}") == [located]
        assert ask.headers["Vary"] == "Accept"
        assert await ask.json(f"providers/{BLOCK.cid}?filter-addrs=tcp") == {"Providers": [record]}
        assert await ask.json(f"providers/{BLOCK.cid}?filter-addrs=quic-v1") == {"Providers": []}
        assert await ask.lines(f"providers/{BLOCK.cid}?filter-protocols=unknown") == []


async def test_nothing_is_an_empty_list_for_a_short_time(tmp_path: Path) -> None:
    async with routing(tmp_path) as ask:
        for path, name in ((f"providers/{ABSENT}", "Providers"), (f"peers/{KEY.name}", "Peers")):
            assert await ask.json(path) == {name: []}
            assert "max-age=15," in ask.headers["Cache-Control"]
            assert await ask.lines(path) == []
            assert "max-age=15," in ask.headers["Cache-Control"]


async def test_of_many_at_once_each_is_told_of_its_own(tmp_path: Path) -> None:
    async with routing(tmp_path) as ask:
        await ask.node.parts.cluster.pin(ABSENT, PinOptions())
        cids = [BLOCK.cid, ABSENT, CID.v0(BLOCK.cid.multihash), Block.of(b"nowhere else").cid] * 25
        held = await asyncio.gather(*(ask.json(f"providers/{cid}") for cid in cids))
        assert [len(one["Providers"]) for one in held] == [1, 0, 1, 0] * 25


async def test_a_node_without_an_open_network_has_no_address_to_give(tmp_path: Path) -> None:
    async with routing(tmp_path, offline=True) as ask:
        assert await ask.json(f"providers/{BLOCK.cid}") == {"Providers": []}


async def test_a_record_is_kept_and_given_back(tmp_path: Path) -> None:
    async with routing(tmp_path, offline=True) as ask:
        body = await ask(f"ipns/{KEY.name}")
        assert (ask.status, ask.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
        assert b"no record here" in body
        record = KEY.record("/ipfs/bafkqaaa", time.time() + 3600, sequence=2)
        await ask(f"ipns/{KEY.name}", "PUT", record, Content_Type=RECORD)
        assert ask.status == 200
        for accept in (RECORD, "*/*", f"{JSON}, {RECORD}"):
            assert await ask(f"ipns/{KEY.name.cid.in_base('b')}", Accept=accept) == record
        assert ask.headers["Content-Type"] == RECORD
        assert ask.headers["Etag"]
        fresh, stale = ask.headers["Cache-Control"].split(", ")[1:3]
        assert fresh == "max-age=60"
        assert 3400 < int(stale.partition("=")[2]) <= 3540
        await ask(f"ipns/{KEY.name}", "PUT", record, Content_Type=RECORD)
        assert ask.status == 200  # once more is no mistake
        older = KEY.record("/ipfs/bafkqaaa", time.time() + 7200, sequence=1)
        assert b"newer" in await ask(f"ipns/{KEY.name}", "PUT", older, Content_Type=RECORD)
        assert ask.status == 409


async def test_a_record_that_is_none_is_refused(tmp_path: Path) -> None:
    async with routing(tmp_path, offline=True) as ask:
        for record, kind, status in (
            (b"nonsense", RECORD, 400),
            (bytes(20_000), RECORD, 400),
            (Key(2).record("/ipfs/bafkqaaa", time.time() + 100), RECORD, 400),
            (KEY.record("/ipfs/bafkqaaa", time.time() - 1), RECORD, 400),
            (KEY.record("/ipfs/bafkqaaa", time.time() + 100), "application/octet-stream", 406),
        ):
            await ask(f"ipns/{KEY.name}", "PUT", record, Content_Type=kind)
            assert ask.status == status
        await ask(f"ipns/{KEY.name}")
        assert ask.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_what_is_asked_wrongly_is_told(tmp_path: Path) -> None:
    async with routing(tmp_path, offline=True) as ask:
        for path, accept, status in (
            ("providers/nonsense", JSON, 400),
            (f"providers/{ABSENT}", "text/html", 400),
            (f"providers/{ABSENT}?filter-addrs={'x,' * 100}", JSON, 400),
            ("peers/nonsense", JSON, 400),
            ("ipns/example.org", RECORD, 400),
            (f"ipns/{KEY.name}", JSON, 406),
            ("nosuch/x", JSON, 404),
            ("providers", JSON, 404),
        ):
            body = await ask(path, Accept=accept)
            assert ask.status == status, path
            assert len(body.splitlines()) == 1


async def test_pages_of_any_origin_may_ask(tmp_path: Path) -> None:
    async with routing(tmp_path, offline=True) as ask:
        for path in (f"providers/{ABSENT}", f"ipns/{KEY.name}", "providers/nonsense"):
            await ask(path, Accept="*/*")
            assert ask.headers["Access-Control-Allow-Origin"] == "*"
            assert await ask(path, "OPTIONS") == b""
            assert (ask.status, "PUT" in ask.headers["Access-Control-Allow-Methods"]) == (200, True)
            assert await ask(path, "HEAD", Accept="*/*") == b""
        await ask(f"providers/{ABSENT}", "POST")
        assert ask.status == 405


async def test_at_a_sites_own_host_the_path_is_the_sites(tmp_path: Path) -> None:
    async with routing(tmp_path, offline=True) as ask:
        await ask(f"providers/{ABSENT}", Host="localhost", Accept=JSON)
        assert ask.status == 200
        await ask(f"providers/{ABSENT}", Host=f"{ABSENT}.ipfs.localhost", Accept=JSON)
        assert ask.status in (404, 504)
        assert "Access-Control-Allow-Methods" in ask.headers
        assert "PUT" not in ask.headers["Access-Control-Allow-Methods"]


async def test_it_can_be_switched_off(tmp_path: Path) -> None:
    async with routing(tmp_path, offline=True, on=False) as ask:
        await ask(f"providers/{ABSENT}", Accept=JSON)
        assert ask.status == 404
        await ask(f"ipns/{KEY.name}", "PUT", b"x", Content_Type=RECORD)
        assert ask.status == 405
