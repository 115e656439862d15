"""POST /v1/pins and /v1/unpins of a real node: a result a line, durable a group at a time."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import ClientSession
from support.json_value import Json, JsonObject
from support.node import eventually, running_node

from blockstore.cid import CID, RAW
from node.node import Node


def cid(number: int) -> str:
    """Of a block that every node has: its bytes are in its name."""
    return str(CID.identity(RAW, b"%d" % number))


def body(lines: Iterable[object]) -> bytes:
    return b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)


class Bulk:
    """Bodies of lines to one node."""

    def __init__(self, node: Node, client: ClientSession) -> None:
        self._url = node.faces.api.url
        self._client = client

    async def post(
        self, lines: Sequence[object], query: str = "", path: str = "/v1/pins"
    ) -> list[JsonObject]:
        async with self._client.post(f"{self._url}{path}{query}", data=body(lines)) as answer:
            assert answer.status == 200, await answer.text()
            return [json.loads(line) async for line in answer.content]

    async def refused(self, lines: Sequence[object], query: str, path: str = "/v1/pins") -> tuple[int, str]:
        async with self._client.post(f"{self._url}{path}{query}", data=body(lines)) as answer:
            return answer.status, (await answer.json(content_type=None))["message"]

    async def pin(self, cid: str) -> JsonObject:
        async with self._client.get(f"{self._url}/allocations/{cid}") as answer:
            found: JsonObject = await answer.json()
            return found

    async def pinned(self) -> set[str]:
        async with self._client.get(f"{self._url}/allocations") as answer:
            return {json.loads(line)["cid"] async for line in answer.content}


@asynccontextmanager
async def bulk(folder: Path) -> AsyncIterator[tuple[Node, Bulk]]:
    async with running_node(folder) as node, ClientSession() as client:
        yield node, Bulk(node, client)


async def test_each_line_is_answered_and_pinned(tmp_path: Path) -> None:
    async with bulk(tmp_path) as (_, call):
        lines = [
            {"cid": cid(1), "name": "one"},
            {"cid": cid(2), "metadata": {"k": "v"}},
            b"\n",
            {"cid": cid(3)},
        ]
        *answers, end = await call.post(lines)
        assert [(one["line"], one["cid"], one["result"]) for one in answers] == [
            (1, cid(1), "pinned"), (2, cid(2), "pinned"), (4, cid(3), "pinned"),
        ]  # fmt: skip
        assert end == {"lines": 4, "pinned": 3}
        assert await call.pinned() == {cid(1), cid(2), cid(3)}
        assert (await call.pin(cid(1)))["name"] == "one"
        assert (await call.pin(cid(2)))["metadata"] == {"k": "v"}


async def test_a_bad_line_gets_its_error_and_the_others_are_done(tmp_path: Path) -> None:
    async with bulk(tmp_path) as (_, call):
        lines = [
            b"not json\n", {"cid": cid(1)}, {"cid": cid(2), "colour": "red"}, {"cid": "nonsense"},
            {"cid": cid(3), "name": 5}, b"x" * 200_000 + b"\n", {"cid": cid(4), "pin_update": cid(99)},
            {"cid": cid(5), "replication_factor_min": 3, "replication_factor_max": 3}, {"cid": cid(6)},
        ]  # fmt: skip
        *answers, end = await call.post(lines)
        assert end == {"lines": 9, "failed": 7, "pinned": 2}
        assert [one["line"] for one in answers] == list(range(1, 10))
        assert [one.get("code") for one in answers] == [400, None, 400, 400, 400, 400, 404, 500, None]
        assert [one["cid"] for one in answers] == [
            None, cid(1), cid(2), None, cid(3), None, cid(4), cid(5), cid(6),
        ]  # fmt: skip
        assert '"colour" is unknown' in answers[2]["error"]
        assert "not enough peers" in answers[7]["error"]
        assert await call.pinned() == {cid(1), cid(6)}


async def test_a_cid_twice_is_done_one_after_the_other(tmp_path: Path) -> None:
    async with bulk(tmp_path) as (_, call):
        lines = [
            {"cid": cid(1), "name": "first"}, {"cid": cid(1), "name": "second"},
            {"cid": cid(1), "name": "second"}, {"cid": cid(2), "pin_update": cid(1)},
        ]  # fmt: skip
        *answers, _ = await call.post(lines)
        assert [one["result"] for one in answers] == ["pinned", "changed", "unchanged", "pinned"]
        assert answers[1]["changed"] == ["name"]
        assert (await call.pin(cid(2)))["name"] == "second"


async def test_options_of_the_query_hold_for_all_lines(tmp_path: Path) -> None:
    async with bulk(tmp_path) as (_, call):
        await call.post([{"cid": cid(1), "name": "own"}, {"cid": cid(2)}], "?name=all&meta-from=bulk")
        assert [(await call.pin(cid(n)))["name"] for n in (1, 2)] == ["own", "all"]
        *answers, _ = await call.post([{"cid": cid(1), "metadata": {"k": "v"}}], "?keep=true")
        assert answers == [{"line": 1, "cid": cid(1), "result": "changed", "changed": ["metadata"]}]
        pin = await call.pin(cid(1))
        assert (pin["name"], pin["metadata"]) == ("own", {"from": "bulk", "k": "v"})
        assert await call.refused([{"cid": cid(3)}], "?nmae=x") == (
            400, 'parameter "nmae" is unknown here: see the pin options in docs/http.md',
        )  # fmt: skip
        assert (await call.refused([{"cid": cid(3)}], "?mode=sideways"))[0] == 400
        assert (await call.refused([{"cid": cid(3)}], "?skip=-1"))[0] == 400
        assert cid(3) not in await call.pinned()


async def test_quiet_tells_failures_and_how_far_it_is(tmp_path: Path) -> None:
    async with bulk(tmp_path) as (_, call):
        *answers, end = await call.post(
            [{"cid": cid(1)}, {"cid": "nonsense"}, {"cid": cid(2)}], "?quiet=true"
        )
        assert [one.get("line", one.get("durable")) for one in answers] == [2, 3]
        assert end == {"lines": 3, "pinned": 2, "failed": 1}


async def test_a_body_is_taken_up_where_it_was_left(tmp_path: Path) -> None:
    async with bulk(tmp_path) as (_, call):
        lines = [{"cid": cid(number)} for number in range(1, 6)]
        *answers, end = await call.post(lines, "?skip=3")
        assert [one["line"] for one in answers] == [4, 5]
        assert end == {"lines": 5, "pinned": 2}
        assert await call.pinned() == {cid(4), cid(5)}
        assert await call.post(lines, "?skip=9") == [{"lines": 5}]
        assert await call.post([]) == [{"lines": 0}]


async def test_what_was_pinned_in_bulk_is_unpinned_by_the_same_lines(tmp_path: Path) -> None:
    async with bulk(tmp_path) as (_, call):
        lines = [{"cid": cid(1), "name": "one"}, {"cid": cid(2)}]
        await call.post(lines)
        *answers, end = await call.post([*lines, {"cid": cid(3)}, {"cid": cid(1)}], path="/v1/unpins")
        assert [one["result"] for one in answers] == ["unpinned", "unpinned", "failed", "failed"]
        assert [one.get("code") for one in answers] == [None, None, 404, 404]
        assert end == {"lines": 4, "unpinned": 2, "failed": 2}
        assert await call.pinned() == set()


async def test_answers_begin_while_the_body_still_comes(tmp_path: Path) -> None:
    asked: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def slowly() -> AsyncIterator[bytes]:
        while (piece := await asked.get()) is not None:
            yield piece

    async with bulk(tmp_path) as (node, _), ClientSession() as client:
        asked.put_nowait(body([{"cid": cid(1)}]) + b'{"cid":"')
        async with client.post(f"{node.faces.api.url}/v1/pins", data=slowly()) as answer:
            assert json.loads(await answer.content.readline())["line"] == 1
            asked.put_nowait(cid(2).encode() + b'"}')
            asked.put_nowait(None)
            assert json.loads(await answer.content.readline())["cid"] == cid(2)
            assert json.loads(await answer.content.readline()) == {"lines": 2, "pinned": 2}


async def broken_off(node: Node, sent: bytes, *, read: int = 0) -> list[Json]:
    """A client that goes away in the middle of a chunked body, after reading so many lines of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", node.faces.api.port)
    writer.write(b"POST /v1/pins HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    writer.write(b"%x\r\n%b\r\n" % (len(sent), sent))
    await writer.drain()
    found: list[Json] = []
    while len(found) < read:
        line = await reader.readline()
        if line.startswith(b"{"):
            found.append(json.loads(line))
    writer.close()
    await writer.wait_closed()
    return found


async def test_of_a_body_that_breaks_off_the_whole_lines_are_done(tmp_path: Path) -> None:
    async with bulk(tmp_path) as (node, call):
        lines = [{"cid": cid(number)} for number in range(2500)]
        await broken_off(node, body(lines) + body([{"cid": cid(9999)}]).rstrip(), read=1)
        whole = {cid(number) for number in range(2500)}

        async def all_done() -> bool:
            return await call.pinned() == whole

        await eventually(all_done)
        assert cid(9999) not in await call.pinned()


async def test_what_was_answered_is_there_after_a_restart(tmp_path: Path) -> None:
    async with bulk(tmp_path) as (node, call):
        (answer,) = await broken_off(node, body([{"cid": cid(1)}]) + b'{"cid"', read=1)
        assert answer["result"] == "pinned"
    async with bulk(tmp_path) as (_, call):
        assert await call.pinned() == {cid(1)}


async def test_a_client_that_reads_nothing_stops_the_work_and_not_the_node(tmp_path: Path) -> None:
    """Its answers wait in bounded room, then its lines do; other requests go on."""
    lines = body([{"cid": "n" * 1000}]) * 100
    sent = 0
    async with bulk(tmp_path) as (node, call):
        _, writer = await asyncio.open_connection("127.0.0.1", node.faces.api.port, limit=1024)
        writer.write(b"POST /v1/pins HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        with suppress(TimeoutError):
            while True:
                writer.write(b"%x\r\n%b\r\n" % (len(lines), lines))
                await asyncio.wait_for(writer.drain(), 2)
                sent += 100
        assert await call.pinned() == set()
        assert 1000 < sent < 200_000
        writer.transport.abort()


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_hundred_thousand_lines_are_one_request_beside_others(tmp_path: Path) -> None:
    count = 100_000

    async def lines() -> AsyncIterator[bytes]:
        for start in range(0, count, 1000):
            yield body({"cid": cid(number), "name": str(number)} for number in range(start, start + 1000))

    async with bulk(tmp_path) as (node, call), ClientSession() as client:
        async with client.post(f"{node.faces.api.url}/v1/pins", data=lines()) as answer:
            asked = 0
            for number in range(1, count + 1):
                line = json.loads(await answer.content.readline())
                assert (line["line"], line["result"]) == (number, "pinned")
                if number % 10_000 == 0:
                    assert (await call.pin(cid(number - 1)))["name"] == str(number - 1)
                    asked += 1
            assert json.loads(await answer.content.readline()) == {"lines": count, "pinned": count}
        assert asked == 10
        async with client.get(f"{node.faces.api.url}/v1/state") as exported:
            text = await exported.read()
        assert len({json.loads(line)["cid"] for line in text.splitlines()}) == count
        dry_run = f"{node.faces.api.url}/v1/state?quiet=true&dry-run=true"
        async with client.post(dry_run, data=io.BytesIO(text)) as again:
            assert (await again.text()).splitlines()[-1] == f'{{"lines":{count},"unchanged":{count}}}'
