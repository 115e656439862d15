"""Adding or pinning again: ipfs-cluster's clients replace all options, `keep=true` changes what is named."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientSession, FormData
from support.json_value import Json, JsonObject
from support.node import running_node

from blockstore.block import Block
from node.node import Node

NO_END = "0001-01-01T00:00:00Z"
SAME = b"the same bytes"
CID = str(Block.of(SAME).cid)


class Api:
    """One node's REST API and RPC."""

    def __init__(self, node: Node, client: ClientSession) -> None:
        self._faces = node.faces
        self._client = client

    async def add(self, query: str) -> JsonObject:
        """The root's line."""
        return (await self.lines("/add?cid-version=1&" + query, SAME))[-1]

    async def lines(self, path: str, *files: bytes) -> list[JsonObject]:
        form = FormData()
        for number, data in enumerate(files):
            form.add_field("file", data, filename=str(number), content_type="application/octet-stream")
        face = self._faces.rpc if path.startswith("/api/") else self._faces.api
        async with self._client.post(face.url + path, data=form if files else None) as answer:
            assert answer.status == 200, await answer.text()
            return [json.loads(line) for line in (await answer.text()).splitlines()]

    async def refused(self, path: str) -> tuple[int, str]:
        """Status and message of an upload of one file there."""
        form = FormData()
        form.add_field("file", SAME, filename="x")
        async with self._client.post(self._faces.api.url + path, data=form) as answer:
            return answer.status, (await answer.json())["message"]

    async def pin(self, query: str) -> JsonObject:
        (found,) = await self.lines(f"/pins/{CID}?{query}")
        return found

    async def stored(self) -> tuple[str, dict[str, str] | None, int, str]:
        async with self._client.get(f"{self._faces.api.url}/allocations/{CID}") as answer:
            found: Json = await answer.json()
        return found["name"], found["metadata"], found["replication_factor_max"], found["expire_at"]


@asynccontextmanager
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running_node(tmp_path) as node, ClientSession() as client:
        yield Api(node, client)


async def test_what_is_added_again_keeps_all_that_is_not_named(tmp_path: Path) -> None:
    async with api(tmp_path) as call:
        first = await call.add("keep=true&name=precious&meta-owner=alice&replication=1")
        assert (first["pin"]["name"], first["pin"]["was"]) == ("precious", None)
        again = await call.add("keep=true&expire-in=1h")
        assert await call.stored() == ("precious", {"owner": "alice"}, 1, NO_END)
        assert again["pin"]["was"]["name"] == "precious"
        await call.add("keep=true&meta-year=2024")
        assert await call.stored() == ("precious", {"owner": "alice", "year": "2024"}, 1, NO_END)
        assert (await call.pin("keep=true&name="))["name"] == ""


async def test_an_end_comes_sooner_only_where_that_is_asked_for(tmp_path: Path) -> None:
    async with api(tmp_path) as call:
        await call.add("keep=true&expire-at=2090-01-01T00:00:00Z")
        await call.add("keep=true&expire-in=1h")
        assert (await call.stored())[3] == "2090-01-01T00:00:00Z"
        await call.pin("keep=true&expire-at=2080-01-01T00:00:00Z&shorten=true")
        assert (await call.stored())[3] == "2080-01-01T00:00:00Z"
        await call.add("keep=true")
        assert (await call.stored())[3] == "2080-01-01T00:00:00Z"
        assert (await call.pin("keep=true&expire-in=never"))["expire_at"] == NO_END


async def test_clients_of_ipfs_cluster_replace_all_options(tmp_path: Path) -> None:
    async with api(tmp_path) as call:
        await call.add("name=precious&meta-owner=alice&replication=1")
        answer = await call.pin("expire-at=2090-01-01T00:00:00Z")
        assert "was" not in answer
        assert await call.stored() == ("", None, -1, "2090-01-01T00:00:00Z")


async def test_kubos_clients_change_no_option(tmp_path: Path) -> None:
    async with api(tmp_path) as call:
        await call.add("name=precious&meta-owner=alice&replication=1&mode=recursive")
        before = await call.stored()
        await call.lines("/api/v0/block/put?pin=true", SAME)
        assert await call.stored() == before


async def test_adds_at_the_same_time_lose_nothing_of_each_other(tmp_path: Path) -> None:
    async with api(tmp_path) as call:
        asked = ["name=n", "meta-a=1", "meta-b=2", "expire-in=1h", "replication=1"]
        await asyncio.gather(*(call.add(f"keep=true&{query}") for query in asked))
        name, metadata, copies, _ = await call.stored()
        assert (name, metadata, copies) == ("n", {"a": "1", "b": "2"}, 1)


async def test_what_is_added_makes_a_direct_pin_recursive(tmp_path: Path) -> None:
    async with api(tmp_path) as call:
        await call.pin("mode=direct&name=n")
        added = await call.add("keep=true")
        assert (added["pin"]["was"]["mode"], added["pin"]["mode"], added["pin"]["name"]) == (
            "direct", "recursive", "n",
        )  # fmt: skip


REFUSED = (
    "mode=whatever",
    "replicaton=2",
    "replication=-2",
    "shard-size=-1",
    "expire-in=99999999h",
    "expire-at=2001-01-01T00:00:00Z",
    "user-allocations=me",
    "meta-=x",
    "keep=maybe",
)
CONTRADICTIONS = (
    "replication-min=3&replication-max=2",
    "replication-min=-1&replication-max=2",
    "replication-max=2",  # contradicts the settings' minimum
)


async def test_what_no_pin_can_have_is_400_on_every_route(tmp_path: Path) -> None:
    async with api(tmp_path) as call:
        await call.add("no-pin=true")
        for query in REFUSED:
            for path in (f"/pins/{CID}", f"/pins/ipfs/{CID}", "/add", "/v1/cars"):
                assert (await call.refused(f"{path}?{query}"))[0] == 400, (path, query)


async def test_factors_that_contradict_each_other_are_500_as_upstream_has_it(tmp_path: Path) -> None:
    async with api(tmp_path) as call:
        for query in CONTRADICTIONS:
            for path in (f"/pins/{CID}", f"/pins/ipfs/{CID}", "/add", "/v1/cars"):
                assert (await call.refused(f"{path}?{query}"))[0] == 500, (path, query)


async def test_what_an_add_does_not_do_is_400(tmp_path: Path) -> None:
    async with api(tmp_path) as call:
        for query in (
            "mode=direct",
            f"pin-update={CID}",
            "shard=true",
            "nocopy=true",
            "pni=no",
            "progress=perhaps",
            "local=perhaps",
        ):
            assert (await call.refused(f"/add?{query}"))[0] == 400, query


async def test_a_dry_run_says_who_would_hold_it_and_writes_nothing(tmp_path: Path) -> None:
    async with api(tmp_path) as call:
        await call.add("no-pin=true")
        for path in (f"/pins/{CID}", f"/pins/ipfs/{CID}"):
            (plan,) = await call.lines(f"{path}?dry-run=true&replication=1&name=x")
            assert (plan["name"], plan["was"]) == ("x", None)
            (member,) = plan["members"]
            assert member["holds"]
            assert member["name"]
            assert member["reason"] == "comes next by tag:group, freespace"
            assert set(member["metrics"]) == {"tag:group", "freespace"}
            assert (await call.refused(f"{path}?dry-run=true&replication=2"))[0] == 500
            assert (await call.refused(f"{path}?dry-run=perhaps"))[0] == 400
        for path in ("/add", "/v1/cars"):
            assert (await call.refused(f"{path}?dry-run=true"))[0] == 400
        (plan,) = await call.lines(f"/pins/{CID}?dry-run=true")
        assert plan["was"] is None
