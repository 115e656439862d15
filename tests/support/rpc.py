"""Kubo's RPC of a real node, called as its clients do."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

from aiohttp import ClientSession, FormData
from yarl import URL

from node.node import Node
from support.json_value import Json
from support.node import running_node


class Rpc:
    """Requests to one RPC listener, and adding through the REST API beside it."""

    def __init__(self, node: Node, client: ClientSession) -> None:
        self.node = node
        self.client = client
        self.headers: Mapping[str, str] = {}

    async def __call__(
        self, command: str, method: str = "POST", *, data: FormData | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:  # fmt: skip
        url = URL(f"{self.node.faces.rpc.url}/api/v0/{command}", encoded=True)
        async with self.client.request(method, url, data=data, headers=headers) as answer:
            self.headers = answer.headers
            return answer.status, await answer.read()

    async def json(self, command: str, *, data: FormData | None = None) -> list[Json]:
        status, body = await self(command, data=data)
        assert status == 200, body
        return [json.loads(line) for line in body.splitlines()]

    async def add(self, files: Mapping[str, bytes]) -> dict[str, str]:
        """CIDs by name; the root's is the last one."""
        async with self.client.post(
            f"{self.node.faces.api.url}/add?cid-version=1", data=form(**files)
        ) as answer:
            lines = [json.loads(line) for line in (await answer.text()).splitlines()]
        return {line["name"]: line["cid"] for line in lines}


def form(**files: bytes | BytesIO) -> FormData:
    data = FormData(quote_fields=False)
    for name, content in files.items():
        data.add_field("file", content, filename=name, content_type="application/octet-stream")
    return data


@asynccontextmanager
async def rpc(tmp_path: Path) -> AsyncIterator[Rpc]:
    async with running_node(tmp_path) as node, ClientSession() as client:
        yield Rpc(node, client)
