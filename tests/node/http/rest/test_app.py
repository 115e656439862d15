"""The cluster REST API of a real node, shaped as ipfs-cluster's clients expect it."""

import asyncio
import io
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession, FormData
from support.json_value import Json, JsonObject
from support.node import running_node
from yarl import URL

from blockstore.block import Block
from blockstore.car.writer import car_stream
from blockstore.cid import CID
from node.config.sections import Config, StorageConfig
from node.datadir.api_secret import read_secret
from node.node import Node

ABSENT = Block.of(b"nowhere to be found").cid
PIN_FIELDS = [
    "replication_factor_min", "replication_factor_max", "name", "mode", "shard_size", "user_allocations",
    "expire_at", "metadata", "pin_update", "origins", "cid", "type", "allocations", "max_depth", "reference",
    "timestamp",
]  # fmt: skip


class Api:
    """Requests to one REST listener; JSON answers are decoded, streams become lists."""

    def __init__(self, url: str, client: ClientSession) -> None:
        self.url = url
        self.client = client
        self.headers: Mapping[str, str] = {}

    async def __call__(
        self, method: str, path: str, *, data: FormData | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, list[Json]]:  # fmt: skip
        url = URL(self.url + path, encoded=True)
        async with self.client.request(
            method, url, allow_redirects=False, data=data, headers=headers
        ) as answer:
            self.headers = answer.headers
            text = await answer.text()
            return answer.status, [json.loads(line) for line in text.splitlines()]

    async def add(self, files: Mapping[str, bytes | io.BytesIO], query: str = "") -> tuple[int, list[Json]]:
        form = FormData(quote_fields=False)
        for name, data in files.items():
            form.add_field("file", data, filename=name, content_type="application/octet-stream")
        return await self("POST", "/add" + query, data=form)


@asynccontextmanager
async def api(tmp_path: Path, config: Config | None = None) -> AsyncIterator[tuple[Node, Api]]:
    async with running_node(tmp_path, config) as node, ClientSession() as client:
        yield node, Api(node.faces.api.url, client)


async def until_status(call: Api, cid: CID | str, status: str) -> JsonObject:
    """Poll as ipfs-cluster-ctl does; the suite's timeout ends a wait that never succeeds."""
    info: JsonObject
    while True:
        _, (info,) = await call("GET", f"/pins/{cid}")
        if all(peer["status"] == status for peer in info["peer_map"].values()):
            return info
        await asyncio.sleep(0.01)


async def test_who_we_are(tmp_path: Path) -> None:
    async with api(tmp_path) as (node, call):
        status, (me,) = await call("GET", "/id")
        assert status == 200
        assert list(me) == [
            "id", "addresses", "cluster_peers", "cluster_peers_addresses", "version", "commit",
            "rpc_protocol_version", "error", "ipfs", "peername",
        ]  # fmt: skip
        assert (me["id"], me["cluster_peers"], me["error"]) == (node.parts.peer, [node.parts.peer], "")
        assert (await call("GET", "/peers"))[1] == [me]
        assert (await call("GET", "/version"))[1][0]["version"].startswith("1.1.6+pinfold")
        assert (await call("GET", "/health"))[0] == 204


async def test_what_is_added_is_stored_pinned_and_durable_when_it_answers(tmp_path: Path) -> None:
    async with api(tmp_path) as (node, call):
        status, lines = await call.add({"d/a.txt": b"alpha", "d/b/c.txt": b"gamma"}, "?name=things&meta-k=v")
        assert status == 200
        assert call.headers["X-Chunked-Output"] == "1"
        assert call.headers["Connection"] == "close"
        assert [line["name"] for line in lines] == ["d/a.txt", "d/b/c.txt", "d/b", "d"]
        cid = lines[-1]["cid"]
        _, (pin,) = await call("GET", f"/allocations/{cid}")
        assert list(pin) == PIN_FIELDS
        assert (pin["name"], pin["metadata"], pin["max_depth"]) == ("things", {"k": "v"}, -1)
        assert (pin["user_allocations"], pin["origins"], pin["pin_update"]) == (None, [], None)
        assert await node.parts.cluster.tracking.holds(CID.parse(cid), recursive=True)
        _, (info,) = await call("GET", f"/pins/{cid}?local=true")
        assert info["peer_map"][node.parts.peer]["status"] == "pinned"
    async with api(tmp_path) as (_, call):
        assert (await call("GET", f"/allocations/{cid}"))[0] == 200
        await until_status(call, cid, "pinned")


async def test_an_empty_list_announces_the_trailer_of_a_full_one(tmp_path: Path) -> None:
    async with api(tmp_path) as (_, call):
        for path in ("/pins", "/allocations", "/allocations?filter=meta-pin", "/pins?filter=error"):
            assert await call("GET", path) == (204, [])
            assert call.headers["Trailer"] == "X-Stream-Error"
            assert call.headers["Content-Type"] == "application/json"


async def test_lines_say_who_has_or_is_to_have_it(tmp_path: Path) -> None:
    async with api(tmp_path) as (node, call):
        for query in ("", "?no-pin=true", "?replication=1", "?local=true"):
            _, lines = await call.add({"d/a": b"alpha"}, query)
            assert [list(line) for line in lines] == [["name", "cid", "size", "allocations"]] * 2
            assert all(line["allocations"] == [node.parts.peer] for line in lines)


async def test_lines_come_while_the_upload_still_goes_on(tmp_path: Path) -> None:
    async with api(tmp_path) as (node, _):
        reader, writer = await asyncio.open_connection(node.faces.api.host, node.faces.api.port)
        head = b"POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        writer.write(head + b"Content-Length: 99999\r\n\r\n" + part(b"d/a") + part(b"d/b"))
        answer = await reader.readuntil(b'"d/a"')
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"Trailer: X-Stream-Error\r\n" in answer
        writer.close()
        await writer.wait_closed()


def part(name: bytes) -> bytes:
    disposition = b'Content-Disposition: form-data; name="file"; filename="%b"\r\n\r\n' % name
    return b"--b\r\n" + disposition + name + b"\r\n"


async def test_added_content_has_kubos_cid(tmp_path: Path) -> None:
    async with api(tmp_path) as (_, call):
        _, lines = await call.add({"hi": b"hello world\n"})
        assert lines[-1]["cid"] == "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"
        _, lines = await call.add({"hi": b"hello world\n"}, "?cid-version=1&mode=recursive&chunker=size-1000")
        assert lines[-1]["cid"] == str(Block.of(b"hello world\n").cid)


async def test_several_files_without_wrap_are_each_pinned(tmp_path: Path) -> None:
    async with api(tmp_path) as (_, call):
        _, lines = await call.add({"a": b"1", "b": b"2", "c": b"3"})
        _, pins = await call("GET", "/allocations")
        assert {pin["cid"] for pin in pins} == {line["cid"] for line in lines}


async def test_wrapping_pins_the_directory_alone(tmp_path: Path) -> None:
    async with api(tmp_path) as (_, call):
        _, lines = await call.add({"a": b"1", "b": b"2"}, "?wrap-with-directory=true")
        assert lines[-1]["name"] == ""
        _, pins = await call("GET", "/allocations")
        assert [pin["cid"] for pin in pins] == [lines[-1]["cid"]]


async def test_no_pin_only_stores(tmp_path: Path) -> None:
    async with api(tmp_path) as (node, call):
        _, lines = await call.add({"a": b"kept for a while"}, "?no-pin=true&cid-version=1")
        assert await node.parts.store.has(CID.parse(lines[-1]["cid"]))
        assert (await call("GET", "/allocations"))[0] == 204


async def test_the_array_form_is_one_document(tmp_path: Path) -> None:
    async with api(tmp_path) as (_, call):
        status, (lines,) = await call.add({"a": b"1"}, "?stream-channels=false")
        assert (status, len(lines), lines[0]["name"]) == (200, 1, "a")
        assert lines[0]["size"] > 0


async def test_a_car_is_added_as_it_is_and_pinned(tmp_path: Path) -> None:
    block = Block.of(b"in a car")
    car = b"".join([piece async for piece in car_stream([block.cid], blocks_of(block))])
    async with api(tmp_path) as (node, call):
        status, (line,) = await call.add({"x.car": car}, "?format=car&name=auto")
        assert (status, line["cid"]) == (200, str(block.cid))
        assert line == {
            "name": "x.car",
            "cid": str(block.cid),
            "bytes": len(block.data),
            "allocations": [node.parts.peer],
        }
        assert (await call("GET", f"/allocations/{block.cid}"))[1][0]["name"] == "auto"
        query = "?format=car&stream-channels=false"
        assert (await call.add({"x.car": car}, query + "&wrap-with-directory=true"))[0] == 400
        assert (await call.add({"x.car": car[:-1]}, query))[0] == 400
        assert (await call.add({"a.car": car, "b.car": car}, query))[0] == 400


async def blocks_of(*blocks: Block) -> AsyncGenerator[Block]:
    for block in blocks:
        yield block


async def test_progress_lines_say_how_far_a_file_is(tmp_path: Path) -> None:
    async with api(tmp_path) as (_, call):
        _, lines = await call.add({"big": io.BytesIO(bytes(10_000_000))}, "?progress=true")
        progress = [line for line in lines if line["cid"] is None]
        assert progress
        assert all(line["name"] == "big" and 0 < line["bytes"] <= 10_000_000 for line in progress)


async def test_a_quota_ends_an_add_with_a_plain_error_and_no_pin(tmp_path: Path) -> None:
    config = Config(storage=StorageConfig(quota=100_000))
    async with api(tmp_path, config) as (_, call):
        status, (error,) = await call.add({"big": bytes(range(256)) * 4000}, "?stream-channels=false")
        assert (status, error["code"]) == (507, 507)
        assert "quota" in error["message"]
        assert (await call("GET", "/allocations"))[0] == 204


async def test_a_client_that_leaves_in_the_middle_leaves_no_pin(tmp_path: Path) -> None:
    async with api(tmp_path) as (node, call):
        listener = node.faces.api
        reader, writer = await asyncio.open_connection(listener.host, listener.port)
        writer.write(
            b"POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            b"Content-Length: 99999999\r\n\r\n--b\r\n"
            b'Content-Disposition: form-data; name="file"; filename="half"\r\n\r\n' + bytes(100_000)
        )
        await reader.readuntil(b"\r\n\r\n")  # the answer has begun
        writer.close()
        await writer.wait_closed()
        assert (await call("GET", "/allocations"))[0] == 204
        _, lines = await call.add({"whole": b"1"})
        _, pins = await call("GET", "/allocations")
        assert [pin["cid"] for pin in pins] == [lines[-1]["cid"]]


async def test_an_upload_that_breaks_off_inside_a_part_is_an_error_in_the_trailer(tmp_path: Path) -> None:
    async with api(tmp_path) as (node, call):
        listener = node.faces.api
        reader, writer = await asyncio.open_connection(listener.host, listener.port)
        body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="half"\r\n\r\nxxx'
        writer.write(
            b"POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        answer = await reader.read()
        assert answer.endswith(b"X-Stream-Error: multipart body ends before its closing boundary\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        assert (await call("GET", "/allocations"))[0] == 204


@pytest.mark.parametrize(
    "query",
    ["?layout=round", "?format=zip", "?chunker=size-0", "?cid-version=7", "?replication-min=x", "?hash=nope",
     "?raw-leaves=perhaps", "?expire-in=1", "?stream-channels=maybe", "?profile=none", "?shard=true"],
)  # fmt: skip
async def test_bad_options_of_an_add_are_400_and_nothing_is_pinned(tmp_path: Path, query: str) -> None:
    async with api(tmp_path) as (_, call):
        status, (error,) = await call.add({"a": b"1"}, query)
        assert (status, error["code"]) == (400, 400)
        assert (await call("GET", "/allocations"))[0] == 204


async def test_an_upload_without_files_is_refused(tmp_path: Path) -> None:
    async with api(tmp_path) as (_, call):
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        status, (error,) = await call(
            "POST", "/add?stream-channels=false", data=b"--b--\r\n", headers=headers
        )
        assert (status, error["message"]) == (400, "the upload holds no files")
        assert (await call("POST", "/add", data=b"{}"))[0] == 400


async def test_pin_and_unpin_by_cid(tmp_path: Path) -> None:
    async with api(tmp_path) as (node, call):
        block = Block.of(b"pin me")
        await node.parts.blocks.put_many([block])
        status, (pin,) = await call("POST", f"/pins/{block.cid}?name=n%3Cb%3E&meta-a=b")
        assert status == 200
        assert list(pin) == PIN_FIELDS
        assert (pin["name"], pin["metadata"], pin["origins"], pin["mode"]) == (
            "n<b>",
            {"a": "b"},
            None,
            "recursive",
        )
        info = await until_status(call, block.cid, "pinned")
        shown = ["cid", "name", "allocations", "origins", "created", "metadata", "peer_map"]
        assert list(info)[:7] == shown
        (peer,) = info["peer_map"].values()
        assert list(peer)[:6] == ["peername", "status", "timestamp", "error", "attempt_count", "priority_pin"]
        status, (removed,) = await call("DELETE", f"/pins/{block.cid}")
        assert (status, removed["cid"]) == (200, str(block.cid))
        status, (error,) = await call("DELETE", f"/pins/{block.cid}")
        assert (status, error) == (404, {"code": 404, "message": "pin is not part of the pinset"})
        await until_status(call, block.cid, "unpinned")


async def test_direct_pins_work_on_the_cid_route_too(tmp_path: Path) -> None:
    async with api(tmp_path) as (node, call):
        block = Block.of(b"alone")
        await node.parts.blocks.put_many([block])
        _, (pin,) = await call("POST", f"/pins/{block.cid}?mode=direct")
        assert (pin["mode"], pin["max_depth"]) == ("direct", 0)


async def test_pin_and_unpin_by_path(tmp_path: Path) -> None:
    async with api(tmp_path) as (_, call):
        _, lines = await call.add({"d/a b.txt": b"1"}, "?no-pin=true")
        cids = {line["name"]: line["cid"] for line in lines}
        status, (pin,) = await call("POST", f"/pins/ipfs/{cids['d']}/a%20b.txt")
        assert (status, pin["cid"]) == (200, cids["d/a b.txt"])
        assert (await call("DELETE", f"/pins/ipfs/{cids['d']}/a%20b.txt"))[0] == 200
        assert (await call("POST", f"/pins/ipfs/{cids['d']}/none"))[0] == 404
        assert (await call("POST", f"/pins/ipld/{cids['d']}"))[0] == 400


async def test_a_pin_whose_content_is_missing_says_why_and_can_be_retried(tmp_path: Path) -> None:
    async with api(tmp_path) as (_, call):
        await call("POST", f"/pins/{ABSENT}")
        info = await until_status(call, ABSENT, "pin_error")
        (peer,) = info["peer_map"].values()
        assert "offline" in peer["error"]
        assert peer["attempt_count"] == 1
        assert peer["retry_at"] > peer["timestamp"]
        assert (await call("POST", f"/pins/{ABSENT}/recover"))[0] == 200
        await until_status(call, ABSENT, "pin_error")
        assert (await call("GET", "/pins?filter=error"))[1][0]["cid"] == str(ABSENT)
        assert (await call("GET", "/pins?filter=pinned"))[0] == 204
        assert (await call("POST", "/pins/recover"))[0] in (200, 204)


async def test_statuses_of_several_cids_at_once(tmp_path: Path) -> None:
    async with api(tmp_path) as (_, call):
        _, lines = await call.add({"a": b"1"})
        _, infos = await call("GET", f"/pins?cids={lines[0]['cid']},{ABSENT}&local=true")
        assert [info["cid"] for info in infos] == [lines[0]["cid"], str(ABSENT)]


async def test_a_cid_that_is_not_pinned_has_a_status_and_no_allocation(tmp_path: Path) -> None:
    async with api(tmp_path) as (_, call):
        status, (info,) = await call("GET", f"/pins/{ABSENT}")
        assert (status, info["allocations"], info["metadata"]) == (200, [], None)
        assert [peer["status"] for peer in info["peer_map"].values()] == ["unpinned"]
        assert (await call("GET", f"/allocations/{ABSENT}"))[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("GET", "/pins/notacid", "error decoding Cid: "),
        ("GET", "/pins/recover", "error decoding Cid: "),
        ("GET", "/pins?filter=nonsense", "invalid filter value"),
        ("GET", "/pins?filter=pinned,eror", 'invalid filter value: "eror" is none of'),
        ("GET", "/pins?local=perhaps", "parameter local invalid"),
        ("GET", f"/pins/{ABSENT}?local=perhaps", "parameter local invalid"),
        ("GET", "/allocations?filter=nonsense", "invalid filter value"),
        ("GET", "/allocations?filter=pin,nonsense", "invalid filter value"),
        ("GET", "/pins?cids=notacid", "error decoding Cid: "),
        ("GET", "/pins?cids=,", "parameter cids invalid"),
        ("GET", "/pins?local=true&local=false", "parameter local is there more than once"),
        ("GET", "/id?x=1&x=1", "parameter x is there more than once"),
        ("POST", f"/pins/{ABSENT}?name=a&name=b", "parameter name is there more than once"),
        ("POST", "/pins/recover?local=x", "parameter local invalid"),
        ("POST", f"/pins/{ABSENT}?replication-min=x", "parameter replication-min invalid"),
    ],
)
async def test_bad_requests_are_400_with_one_document(
    tmp_path: Path, method: str, path: str, message: str
) -> None:
    async with api(tmp_path) as (_, call):
        status, documents = await call(method, path)
        assert status == 400
        assert len(documents) == 1
        assert documents[0]["message"].startswith(message)
        assert (await call("GET", "/allocations"))[0] == 204  # upstream pins all the same


async def test_unknown_routes_methods_and_slashes(tmp_path: Path) -> None:
    async with api(tmp_path) as (_, call):
        assert await call("GET", "/nothing") == (404, [{"code": 404, "message": "not found"}])
        assert await call("PUT", "/id") == (405, [])
        assert (await call("GET", "/pins/?local=true"))[0] == 307
        assert call.headers["Location"] == "/pins?local=true"


async def test_health_and_metrics(tmp_path: Path) -> None:
    async with api(tmp_path) as (node, call):
        _, (graph,) = await call("GET", "/health/graph")
        assert graph["cluster_id"] == node.parts.peer
        assert graph["cluster_trust_links"] == {node.parts.peer: True}
        assert await call("GET", "/health/alerts") == (200, [[]])
        _, (names,) = await call("GET", "/monitor/metrics")
        assert {"ping", "freespace"} <= set(names)
        _, ((ping,),) = await call("GET", "/monitor/metrics/ping")
        assert list(ping) == [
            "name", "peer", "value", "expire", "valid", "weight", "partitionable", "received_at",
        ]  # fmt: skip
        assert ping["expire"] > 10**18
        assert await call("GET", "/monitor/metrics/unknown") == (200, [[]])


async def test_invitations_and_usage(tmp_path: Path) -> None:
    async with api(tmp_path) as (_, call):
        status, (usage,) = await call("GET", "/v1/usage")
        assert (status, usage["blocks"]) == (200, 0)
        assert (await call("GET", "/v1/health"))[1][0]["failures"] == 0
        shown = {"Authorization": f"Bearer {read_secret(tmp_path / 'api.secret')}"}
        for query in ("role=king", "expires=0"):
            assert (await call("POST", f"/v1/invite?{query}", headers=shown))[0] == 400


async def test_a_peer_name_comes_from_the_settings(tmp_path: Path) -> None:
    config = Config()
    config = replace(config, cluster=replace(config.cluster, peer_name="attic"))
    async with api(tmp_path, config) as (_, call):
        assert (await call("GET", "/id"))[1][0]["peername"] == "attic"
