"""/v1/jobs of a real node: uploads that are paused and cancelled, a drain that every member lists."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import ClientSession, MultipartWriter
from support.json_value import JsonObject
from support.node import eventually, running_node
from support.pairs import add, two_nodes

from node.datadir.api_secret import read_secret
from node.node import Node


async def ask(client: ClientSession, node: Node, method: str, path: str) -> tuple[int, JsonObject]:
    headers = {"Authorization": f"Bearer {read_secret((node.parts.staging.folder or Path()) / 'api.secret')}"}
    async with client.request(method, f"{node.faces.api.url}{path}", headers=headers) as answer:
        found: JsonObject = json.loads(await answer.text())
        return answer.status, found


async def jobs_of(client: ClientSession, node: Node, kind: str) -> list[JsonObject]:
    _, found = await ask(client, node, "GET", "/v1/jobs")
    return [job for job in found["jobs"] if job["kind"] == kind]


async def upload(client: ClientSession, node: Node, more: asyncio.Event) -> tuple[int, JsonObject]:
    async def pieces() -> AsyncIterator[bytes]:
        yield bytes(10_000_000)  # more than the importer takes at a time
        await more.wait()
        yield bytes(10_000_000)

    writer = MultipartWriter("form-data")
    writer.append(pieces()).set_content_disposition("form-data", name="file", filename="zeros")
    async with client.post(f"{node.faces.api.url}/add?stream-channels=false", data=writer) as answer:
        body: JsonObject = json.loads(await answer.text())
        return answer.status, body


async def test_an_upload_is_a_job_that_is_paused_resumed_and_cancelled(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, ClientSession() as client:
        more = asyncio.Event()
        sending = asyncio.create_task(upload(client, node, more))

        async def begun() -> bool:
            return any(job["done"] > 90_000 for job in await jobs_of(client, node, "add"))

        await eventually(begun)
        (job,) = await jobs_of(client, node, "add")
        assert (job["state"], job["unit"], job["verbs"]) == ("running", "bytes", ["pause", "cancel"])
        assert (await ask(client, node, "POST", f"/v1/jobs/{job['id']}/pause"))[1]["state"] == "paused"
        assert (await ask(client, node, "POST", f"/v1/jobs/{job['id']}/pause"))[0] == 409
        more.set()
        done, _ = await asyncio.wait([sending], timeout=0.3)
        assert not done, "nothing more of it is read"
        assert (await ask(client, node, "POST", f"/v1/jobs/{job['id']}/cancel"))[1]["state"] == "cancelled"
        status, error = await sending
        assert (status, error["code"]) == (409, 409)
        assert await node.parts.cluster.pinset.count() == 0
        assert (await ask(client, node, "GET", f"/v1/jobs/{job['id']}"))[1]["state"] == "cancelled"


async def test_what_is_no_job_and_no_verb_is_an_error_and_who_may_not_is_refused(tmp_path: Path) -> None:
    async with running_node(tmp_path) as node, ClientSession() as client:
        assert await ask(client, node, "GET", "/v1/jobs") == (200, {"jobs": []})
        assert (await ask(client, node, "GET", "/v1/jobs/add-00000000"))[0] == 404
        assert (await ask(client, node, "POST", "/v1/jobs/add-00000000/cancel"))[0] == 404
        assert (await ask(client, node, "POST", "/v1/jobs/add-00000000/stop"))[0] == 404
        async with client.post(f"{node.faces.api.url}/v1/jobs/add-00000000/cancel") as answer:
            assert answer.status == 401


async def test_a_drain_is_a_job_of_every_member(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (a, b, client):
        await add(client, a, "one", b"one", "?replication-min=1&replication-max=1")

        async def known() -> bool:
            return await b.parts.cluster.pinset.count() == 1 and len(b.parts.cluster.metrics.live()) == 2

        await eventually(known)
        assert (await ask(client, b, "POST", f"/v1/members/{a.parts.peer}/drain"))[0] == 200

        async def done() -> bool:
            found = [await jobs_of(client, node, "drain") for node in (a, b)]
            return [[job["state"] for job in one] for one in found] == [["done"], ["done"]]

        await eventually(done)
        (job,) = await jobs_of(client, a, "drain")
        assert (job["subject"], job["left"], job["verbs"]) == (a.parts.cluster.context.name, 0, ["cancel"])
        assert (await ask(client, b, "POST", f"/v1/jobs/{job['id']}/pause"))[0] == 409
        status, ended = await ask(client, b, "POST", f"/v1/jobs/{job['id']}/cancel")
        assert (status, ended["state"]) == (200, "cancelled")
        assert not b.parts.cluster.members.drained()
