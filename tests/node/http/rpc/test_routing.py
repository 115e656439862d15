"""routing/*, swarm/* and ping in Kubo's shapes, over two nodes that are connected."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientSession
from support.ipns import Key
from support.node import running_node
from support.rpc import Rpc, form, rpc

from blockstore.block import Block
from node.names.ipns_record import verify
from node.parts import Swarm

BLOCK, ABSENT = Block.of(b"held here"), Block.of(b"held nowhere")
KEY = Key(1)


@asynccontextmanager
async def online(folder: Path) -> AsyncIterator[Rpc]:
    async with running_node(folder, offline=False) as node, ClientSession() as client:
        await node.parts.store.put_many([BLOCK])
        yield Rpc(node, client)


def swarm_of(call: Rpc) -> Swarm:
    assert call.node.parts.swarm is not None
    return call.node.parts.swarm


async def refused(call: Rpc, command: str) -> str:
    status, body = await call(command)
    assert status in (400, 500), body
    return body.decode()


async def test_providers_and_peers_are_events_of_kubos(tmp_path: Path) -> None:
    async with online(tmp_path) as call:
        us, swarm = call.node.parts.peer, swarm_of(call)
        place = [address.removesuffix(f"/p2p/{us}") for address in swarm.addresses(us)]
        response = [{"Addrs": place, "ID": us}]
        assert await call.json(f"routing/findprovs?arg={BLOCK.cid}&num-providers=20") == [
            {"Extra": "", "ID": "", "Responses": response, "Type": 4}
        ]
        assert await call.json(f"routing/findprovs?arg={ABSENT.cid}") == []
        assert await call.json(f"routing/findpeer?arg={us}") == [
            {"Extra": "", "ID": "", "Responses": response, "Type": 2}
        ]
        assert "not found" in await refused(call, f"routing/findpeer?arg={KEY.name.peer_id}")
        assert await call(f"routing/provide?arg={BLOCK.cid}") == (200, b"")
        assert "cannot be provided" in await refused(call, f"routing/provide?arg={ABSENT.cid}")
        for command in (
            "routing/findprovs?arg=nonsense",
            f"routing/findprovs?arg={BLOCK.cid}&num-providers=0",
            "routing/findpeer?arg=nonsense",
            "routing/provide",
        ):
            await refused(call, command)


async def test_a_record_goes_in_and_out(tmp_path: Path) -> None:
    async with rpc(tmp_path) as call:
        record = KEY.record("/ipfs/bafkqaaa", time.time() + 100)
        (put,) = await call.json(f"routing/put?arg=/ipns/{KEY.name}", data=form(value=record))
        assert put == {"Extra": "", "ID": call.node.parts.peer, "Responses": None, "Type": 5}
        (got,) = await call.json(f"routing/get?arg=/ipns/{KEY.name.peer_id}")
        assert verify(KEY.name, base64.b64decode(got["Extra"]), time.time()).raw == record
        assert "no key of a record" in await refused(call, f"routing/get?arg={KEY.name}")
        status, body = await call(f"routing/put?arg=/ipns/{Key(2).name}", data=form(value=record))
        assert (status, "signature" in json.loads(body)["Message"]) == (500, True)


async def test_peers_are_connected_kept_pinged_and_let_go(tmp_path: Path) -> None:
    async with online(tmp_path / "a") as call, online(tmp_path / "b") as other:
        them = other.node.parts.peer
        (address, *_) = swarm_of(other).addresses(them)
        place = address.removesuffix(f"/p2p/{them}")
        lines = await call.json(f"ping?arg={address}&count=1")
        assert [line["Success"] for line in lines] == [True] * 3
        assert lines[0]["Text"] == f"PING {them}."
        assert lines[1]["Time"] > 0
        assert lines[2]["Text"].startswith("Average latency: ")
        assert await call.json("swarm/peering/ls") == [{"Peers": []}]
        assert await call.json("swarm/peers") == [{"Peers": [{"Addr": place, "Peer": them}]}]
        assert (await call.json("swarm/addrs"))[0]["Addrs"][them] == [place]
        (added,) = await call.json(f"swarm/peering/add?arg={address}")
        assert added == {"ID": them, "Status": "success"}
        assert await call.json("swarm/peering/ls") == [{"Peers": [{"ID": them, "Addrs": [place]}]}]
        (removed,) = await call.json(f"swarm/peering/rm?arg={them}")
        assert removed == {"ID": them, "Status": "success"}
        assert "not among the peers" in await refused(call, f"swarm/peering/rm?arg={them}")
        (gone,) = await call.json(f"swarm/disconnect?arg={address}")
        assert gone == {"Strings": [f"disconnect {them} success"]}
        (listening,) = await other.json("swarm/addrs/local")
        assert place in listening["Strings"]
        assert address in (await other.json("swarm/addrs/listen?id=true"))[0]["Strings"]


async def test_what_no_peer_can_be_is_told(tmp_path: Path) -> None:
    async with online(tmp_path) as call:
        us = call.node.parts.peer
        for command, words in (
            (f"swarm/disconnect?arg={KEY.name.peer_id}", "not connected"),
            ("swarm/disconnect?arg=nonsense", "nonsense"),
            ("swarm/peering/add?arg=nonsense", "nonsense"),
            ("swarm/peering/add?arg=/ip4/127.0.0.1/tcp/1", "must end in /p2p/"),
            (f"ping?arg={us}", "self"),
            (f"ping?arg={KEY.name.peer_id}&count=1", "no address"),
            (f"ping?arg=/ip4/127.0.0.1/tcp/9/p2p/{KEY.name.peer_id}", "cannot be reached"),
            (f"ping?arg={KEY.name.peer_id}&count=0", "count"),
        ):
            assert words in await refused(call, command)
