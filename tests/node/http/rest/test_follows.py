"""/v1/follows: begun, listed and ended over HTTP, and what is asked wrongly."""

from __future__ import annotations

import json
from pathlib import Path

from aiohttp import ClientSession
from support.json_value import Json
from support.node import running_node
from yarl import URL

from blockstore.block import Block
from node.datadir.private_key import PrivateKey
from node.names.name import NamePath, parse_target
from node.names.publishing import Publication
from node.names.signing import name_of
from node.node import Node

BLOCK = Block.of(b"the first version")
KEY = PrivateKey.generate()
PATH = str(NamePath(name_of(KEY)))


async def asked(node: Node, method: str, query: str = "") -> tuple[int, list[Json]]:
    url = URL(f"{node.faces.api.url}/v1/follows{query}", encoded=True)
    async with ClientSession() as client, client.request(method, url) as answer:
        return answer.status, [json.loads(line) for line in (await answer.text()).splitlines()]


async def test_a_name_is_followed_listed_and_let_go(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node:
        await node.parts.store.put_many([BLOCK])
        await node.parts.publishing.publish(KEY, Publication(parse_target(f"/ipfs/{BLOCK.cid}")))
        assert await asked(node, "GET") == (204, [])
        status, (pin,) = await asked(node, "POST", f"?path={PATH}&versions=3&name=site&keep=true")
        assert (status, pin["cid"], pin["name"]) == (200, str(BLOCK.cid), "site")
        status, (listed,) = await asked(node, "GET")
        assert (status, listed["path"], listed["keep"]) == (200, PATH, 3)
        assert [one["cid"] for one in listed["versions"]] == [str(BLOCK.cid)]
        for query, code in (
            ("?path=/ipfs/bafkqaaa", 400),
            ("?path=nonsense", 400),
            ("", 400),
            (f"?path={PATH}&versions=0", 400),
            (f"?path={PATH}&versions=x", 400),
            (f"?path={PATH}&nosuch=1", 400),
            (f"?path={PATH}&meta-pinfold.follow=x", 400),
            (f"?path=/ipns/{name_of(PrivateKey.generate())}", 500),
        ):
            assert (await asked(node, "POST", query))[0] == code, query
        assert await asked(node, "DELETE", f"?path={PATH}") == (
            200, [{"path": PATH, "released": [str(BLOCK.cid)]}],
        )  # fmt: skip
        assert (await asked(node, "DELETE", f"?path={PATH}"))[0] == 400
        assert await asked(node, "GET") == (204, [])
