"""No parameter of the cluster REST API is passed over in silence, on any route."""

import json
from pathlib import Path

import pytest
from aiohttp import ClientSession
from support.node import running_node
from yarl import URL

from blockstore.block import Block
from node.datadir.api_secret import read_secret
from node.datadir.folder import DataFolder
from node.http.rest.app import cluster_app
from node.node import Node

ABSENT = Block.of(b"nowhere to be found").cid


async def refusal(node: Node, folder: DataFolder, method: str, target: str) -> str:
    """Of an owner's call, the message of the 400 that it has to end with."""
    headers = {"Authorization": f"Bearer {read_secret(folder.secret)}"}
    url = URL(node.faces.api.url + target, encoded=True)
    async with ClientSession() as client, client.request(method, url, headers=headers) as answer:
        assert answer.status == 400, (method, target, answer.status)
        if method == "HEAD":
            return ""
        message: str = json.loads(await answer.read())["message"]
        return message


async def test_every_route_refuses_a_parameter_that_it_does_not_have(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node:
        names = {"cid": ABSENT, "path": ABSENT, "namespace": "ipfs", "peer": node.parts.peer}
        for route in cluster_app(node.parts).router.routes():
            assert route.resource is not None
            path = route.resource.canonical.format(**names, member="x", name="ping", job="x", verb="pause")
            said = await refusal(node, DataFolder(tmp_path), route.method, f"{path}?nosuch=1")
            if route.method != "HEAD" and "multipart" not in said:  # uploads are looked at first
                assert '"nosuch" is unknown' in said
        assert [pin async for pin in node.parts.cluster.pinset.pins()] == []


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("name=%FF", "the parameters are not UTF-8"),
        ("meta-a=%C3", "the parameters are not UTF-8"),
        ("meta-%FF=a", "the parameters are not UTF-8"),
        ("expire-at=2090-01-01T00:00:00%2B25:00", '"2090-01-01T00:00:00+25:00": out of range'),
        ("expire-at=2090-13-01T00:00:00Z", '"2090-13-01T00:00:00Z": out of range'),
        ("expire-at=2090-02-30T00:00:00Z", '"2090-02-30T00:00:00Z": out of range'),
    ],
)
async def test_text_and_times_that_there_are_not_are_told_and_never_changed(
    tmp_path: Path, query: str, says: str
) -> None:
    async with running_node(tmp_path) as node:
        assert (await refusal(node, DataFolder(tmp_path), "POST", f"/pins/{ABSENT}?{query}")).endswith(says)
        assert [pin async for pin in node.parts.cluster.pinset.pins()] == []
