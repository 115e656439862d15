"""GET and POST /v1/state of a real node: one consistent state out, and a file of it in."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientSession
from support.json_value import JsonObject
from support.node import running_node

from blockstore.cid import CID, RAW
from cluster.pin import PinOptions
from node.config.sections import Config, StorageConfig
from node.node import Node


def cid(number: int) -> CID:
    """Of a block that every node has: its bytes are in its name."""
    return CID.identity(RAW, b"%d" % number)


class State:
    """The state routes of one node."""

    def __init__(self, node: Node, client: ClientSession) -> None:
        self.url = f"{node.faces.api.url}/v1/state"
        self.client = client

    async def exported(self) -> list[bytes]:
        async with self.client.get(self.url) as answer:
            assert answer.status == 200
            lines = [line async for line in answer.content]
            assert answer.headers["X-Total-Count"] == str(len(lines))
            return lines

    async def imported(self, lines: Iterable[bytes], query: str = "") -> list[JsonObject]:
        async with self.client.post(self.url + query, data=b"".join(lines)) as answer:
            assert answer.status == 200, await answer.text()
            return [json.loads(line) async for line in answer.content]


@asynccontextmanager
async def state(folder: Path, config: Config | None = None) -> AsyncIterator[tuple[Node, State]]:
    async with running_node(folder, config) as node, ClientSession() as client:
        yield node, State(node, client)


async def pinned(node: Node, numbers: Sequence[int], name: str = "") -> None:
    await asyncio.gather(*(node.parts.cluster.pin(cid(number), PinOptions(name)) for number in numbers))


async def test_what_one_node_exports_another_imports(tmp_path: Path) -> None:
    async with state(tmp_path / "a") as (node, first):
        assert await first.exported() == []
        options = PinOptions("über <x>", metadata={"b": "2", "a": "1"}, expire_at=4e9 + 0.25)
        await pinned(node, range(50), "many")
        await node.parts.cluster.pin(cid(99), options)
        await node.parts.cluster.pin(cid(98), PinOptions(pin_update=cid(99)))
        lines = await first.exported()
        assert len(lines) == 52
    async with state(tmp_path / "b") as (_, second):
        dry = await second.imported(lines, "?dry-run=true")
        assert dry[-1] == {"lines": 52, "pinned": 52}
        assert await second.exported() == []
        assert (await second.imported(lines))[-1] == {"lines": 52, "pinned": 52}
        assert await second.exported() == lines
        assert (await second.imported(lines, "?quiet=true"))[-1] == {"lines": 52, "unchanged": 52}


async def test_an_export_is_of_one_moment_though_pins_come_and_go(tmp_path: Path) -> None:
    """Its reader is slow, and pins on both sides of where it stands change while it reads."""
    async with state(tmp_path) as (node, call):
        await pinned(node, range(3000), "before")
        async with call.client.get(call.url) as answer:
            first = await answer.content.readline()
            for number in (0, 1, 2998, 2999):
                await node.parts.cluster.unpin(cid(number))
            await pinned(node, [3000, 1500], "after")
            lines = [first] + [line async for line in answer.content]
        names = [(one["cid"], one["name"]) for one in map(json.loads, lines)]
        assert sorted(names) == sorted((str(cid(number)), "before") for number in range(3000))
        assert len(await call.exported()) == 2997


async def test_bad_lines_are_told_and_the_others_done(tmp_path: Path) -> None:
    async with state(tmp_path) as (node, call):
        await pinned(node, [1, 2], "here")
        lines = await call.exported()
        sharded = lines[0].replace(b'"type":"pin"', b'"type":"meta-pin"')
        await node.parts.cluster.unpin(cid(1))
        ended = lines[1].replace(b"0001-01-01", b"2001-01-01", 1)
        *answers, end = await call.imported([lines[0], sharded, b"{\n", ended])
        assert end == {"lines": 4, "pinned": 1, "failed": 3}
        assert [one["result"] for one in answers] == ["pinned", "failed", "failed", "failed"]
        assert "shards are not kept here" in answers[1]["error"]
        assert "in the past" in answers[3]["error"]


async def test_a_file_of_another_format_changes_nothing(tmp_path: Path) -> None:
    async with state(tmp_path) as (_, call):
        old = b'{"cid":{"/":"bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"},"type":2}\n'
        for data, says in ((old, "before 1.0"), (b"\x1f\x8b\x08binary\n", "no state export")):
            async with call.client.post(call.url, data=data) as answer:
                assert answer.status == 400
                assert says in (await answer.json())["message"]
        assert await call.exported() == []


async def test_more_copies_than_members_are_told_and_can_be_given_otherwise(tmp_path: Path) -> None:
    async with state(tmp_path) as (_, call):
        line = json.dumps(
            {"cid": str(cid(1)), "replication_factor_min": 2, "replication_factor_max": 3}
        ).encode()
        assert "not enough peers" in (await call.imported([line], "?dry-run=true"))[0]["error"]
        assert "not enough peers" in (await call.imported([line]))[0]["error"]
        query = "?replication-min=-1&replication-max=-1"
        assert (await call.imported([line], query))[0]["result"] == "pinned"


async def test_without_room_to_stage_it_nothing_is_exported(tmp_path: Path) -> None:
    async with state(tmp_path) as (node, _):
        await pinned(node, [1])
    async with state(tmp_path, Config(storage=StorageConfig(reserve=1 << 60))) as (_, call):
        answer = await call.client.get(call.url)
        assert (answer.status, "room to stage the export" in await answer.text()) == (507, True)
