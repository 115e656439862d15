"""Several CARs at once: all are read, then roots are pinned; what is said of each is what is so."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from aiohttp import ClientSession, FormData
from support.dags import leaves, node
from support.json_value import JsonObject
from support.node import running_node

from blockstore.block import Block
from blockstore.car.writer import car_stream
from blockstore.cid import CID
from cluster.errors import NotPinned
from cluster.pin import PinOptions
from node.parts import Parts

PARTS = leaves(2)
ROOT = node([block.cid for block in PARTS])
ABSENT = Block.of(b"in no file").cid


class Send(Protocol):
    """Sends CARs together; the lines of the answer."""

    async def __call__(self, *files: bytes, query: str = "") -> list[JsonObject]: ...


async def car(roots: Sequence[CID], *blocks: Block) -> bytes:
    async def each() -> AsyncGenerator[Block]:
        for block in blocks:
            yield block

    return b"".join([piece async for piece in car_stream(roots, each())])


@asynccontextmanager
async def importing(tmp_path: Path, route: str = "api/v1/cars") -> AsyncIterator[tuple[Parts, Send]]:
    """A node, and what it answers to CARs that are sent to it together."""
    face, _, path = route.partition("/")

    async def send(*files: bytes, query: str = "") -> list[JsonObject]:
        form = FormData()
        for number, data in enumerate(files):
            form.add_field("file", data, filename=f"{number}.car", content_type="application/vnd.ipld.car")
        async with client.post(f"{getattr(running.faces, face).url}/{path}?{query}", data=form) as answer:
            assert answer.status == 200, await answer.text()
            return [json.loads(line) for line in (await answer.text()).splitlines()]

    async with running_node(tmp_path) as running, ClientSession() as client:
        yield running.parts, send


async def is_pinned(parts: Parts, cid: CID) -> bool:
    try:
        await parts.cluster.get_pin(cid)
    except NotPinned:
        return False
    return True


async def test_one_dag_in_two_files_is_pinned(tmp_path: Path) -> None:
    async with importing(tmp_path) as (parts, send):
        lines = await send(await car([ROOT.cid], ROOT, PARTS[0]), await car([ROOT.cid], PARTS[1]))
        assert [line.get("file") for line in lines] == ["0.car", "1.car", None]
        assert (lines[-1]["root"], lines[-1]["pinned"]) == (str(ROOT.cid), True)
        pinned = await parts.garbage_collection.pins.get(ROOT.cid)
        assert pinned is not None
        assert pinned.complete


async def test_a_part_alone_is_stored_and_leaves_no_pin(tmp_path: Path) -> None:
    async with importing(tmp_path) as (parts, send):
        *_, root = await send(await car([ROOT.cid], ROOT, PARTS[0]))
        assert root["error"] == f"block {PARTS[1].cid} is not here"
        assert (root["pin"], root["here"]) == (None, True)
        assert not await is_pinned(parts, ROOT.cid)


async def test_a_pin_that_was_there_before_is_told(tmp_path: Path) -> None:
    async with importing(tmp_path) as (parts, send):
        await parts.cluster.pin(ROOT.cid, PinOptions(name="before"))
        *_, root = await send(await car([ROOT.cid], ROOT))
        assert "is not here" in root["error"]
        assert root["pin"]["name"] == "before"


async def test_a_bad_file_stops_none_of_the_others(tmp_path: Path) -> None:
    async with importing(tmp_path) as (parts, send):
        whole, split = await car([PARTS[0].cid], PARTS[0]), await car([ROOT.cid], ROOT, *PARTS)
        lines = await send(whole, b"no CAR at all", split[:-1], split)
        assert ["error" in line for line in lines] == [False, True, True, False, False, False]
        assert await is_pinned(parts, ROOT.cid)


async def test_without_pins_each_root_is_told_as_it_is(tmp_path: Path) -> None:
    async with importing(tmp_path) as (parts, send):
        _, *roots = await send(await car([ROOT.cid, ABSENT], ROOT), query="no-pin=true")
        assert roots == [{"root": str(ROOT.cid), "here": True}, {"root": str(ABSENT), "here": False}]
        assert not await is_pinned(parts, ROOT.cid)


async def test_options_are_those_of_the_pins(tmp_path: Path) -> None:
    async with importing(tmp_path) as (parts, send):
        await send(await car([PARTS[0].cid], PARTS[0]), query="keep=true&name=photos")
        *_, root = await send(await car([PARTS[0].cid], PARTS[0]), query="keep=true&expire-in=1h")
        assert (root["pin"]["name"], root["pin"]["was"]["name"]) == ("photos", "photos")
        assert (await parts.cluster.get_pin(PARTS[0].cid)).options.expire_at is None


async def test_dag_import_reads_all_files_before_it_pins(tmp_path: Path) -> None:
    async with importing(tmp_path, "rpc/api/v0/dag/import") as (parts, send):
        lines = await send(
            await car([ROOT.cid], ROOT, PARTS[0]), await car([ROOT.cid, ABSENT], PARTS[1]), query="stats=true"
        )
        assert [line["Root"]["Cid"]["/"] for line in lines[:-1]] == [str(ROOT.cid), str(ABSENT)]
        assert [bool(line["Root"]["PinErrorMsg"]) for line in lines[:-1]] == [False, True]
        assert lines[-1]["Stats"]["BlockCount"] == 3
        assert (await is_pinned(parts, ROOT.cid), await is_pinned(parts, ABSENT)) == (True, False)


async def test_dag_import_without_pins_speaks_of_no_root(tmp_path: Path) -> None:
    async with importing(tmp_path, "rpc/api/v0/dag/import") as (_, send):
        file = await car([ROOT.cid], ROOT, *PARTS)
        assert await send(file, query="pin-roots=false") == []
        (stats,) = await send(file, query="pin-roots=false&stats=true")
        assert stats["Stats"]["BlockCount"] == 3
