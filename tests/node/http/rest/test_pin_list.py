"""Pins found over HTTP: filters, pages, counts; and what the listing promises while rows are damaged."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import ClientSession
from support.json_value import Json
from support.node import eventually, running_node

from blockstore.block import Block
from blockstore.cid import CID, RAW
from cluster.pin import EVERYWHERE, Pin, PinOptions
from node.node import Node

OTHER = "12D3KooWMnkerRorKq2W2puQfMh2GJH121KAca4Mb8digLq9LeiB"


def cid(number: int) -> CID:
    """An identity CID: it is pinned at once, wherever it is."""
    return CID.identity(RAW, b"pin %03d" % number)


def pin(number: int) -> Pin:
    held = (OTHER,) if number % 4 == 0 else ()
    options = PinOptions(
        name=f"{'cat' if number % 2 else 'dög & co'} {number:03d}",
        replication_max=len(held) or EVERYWHERE,
        replication_min=len(held) or EVERYWHERE,
        expire_at=4e9 + number if number % 5 == 0 else None,
        metadata={"app": f"a{number % 3}", **({"team": "z"} if number % 10 == 0 else {})},
    )
    return Pin(cid(number), options, held, 1000.0 + number)


PINS = [pin(number) for number in range(60)]


class Listing:
    """GET of one node, answers as lines."""

    def __init__(self, node: Node, client: ClientSession) -> None:
        self.node = node
        self._client = client

    async def __call__(self, path: str) -> tuple[int, list[Json]]:
        async with self._client.get(f"{self.node.faces.api.url}{path}") as answer:
            return answer.status, [json.loads(line) async for line in answer.content]

    async def numbers(self, query: str) -> list[int]:
        """Of the pins that match, as they come."""
        status, lines = await self(f"/v1/pins?{query}")
        assert status in (200, 204)
        return [int(str(line["name"])[-3:]) for line in lines]

    async def has_all_pinned(self) -> bool:
        return await self.count("status=pinned") == sum(one.everywhere for one in PINS)

    async def count(self, query: str) -> int:
        _, (line,) = await self(f"/v1/pins/count?{query}")
        return int(line["count"])


@asynccontextmanager
async def listing(folder: Path) -> AsyncIterator[Listing]:
    async with running_node(folder) as node, ClientSession() as client:
        await node.parts.pinset.put_many(PINS)
        yield Listing(node, client)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", lambda one: True),
        (f"name={quote('cat 003')}", lambda one: one.options.name == "cat 003"),
        ("name-prefix=cat", lambda one: one.options.name.startswith("cat")),
        (f"name-contains={quote('ög & co 0')}", lambda one: "ög & co 0" in one.options.name),
        ("meta-app=a1", lambda one: one.options.metadata["app"] == "a1"),
        ("meta-app=a1&meta-team=z", lambda one: one.options.metadata == {"app": "a1", "team": "z"}),
        ("has-meta=team", lambda one: "team" in one.options.metadata),
        (f"allocated-to={OTHER}", lambda one: OTHER in one.allocations),
        (f"held-by={OTHER}", lambda one: one.held_by(OTHER)),
        ("expires-before=2096-10-02T07:07:00Z", lambda one: (one.options.expire_at or 5e9) < 4000000020),
        ("created-after=1970-01-01T00:17:00Z", lambda one: one.created >= 1020),
        ("created-before=1970-01-01T00:17:00Z&name-prefix=cat",
         lambda one: one.created < 1020 and one.options.name.startswith("cat")),
        ("status=pinned", lambda one: one.everywhere),
        ("status=pinned&name-contains=cat", lambda one: one.everywhere and "cat" in one.options.name),
        ("status=error", lambda one: False),
    ],
)  # fmt: skip
async def test_pins_are_found_counted_and_paged_by(query: str, wanted: object, tmp_path: Path) -> None:
    assert callable(wanted)
    expected = sorted(number for number, one in enumerate(PINS) if wanted(one))
    async with listing(tmp_path) as get:
        if "status" in query:
            await eventually(get.has_all_pinned)
        assert sorted(await get.numbers(query)) == expected
        assert await get.count(query) == len(expected)
        assert sorted([number async for number in paged(get, query)]) == expected


async def paged(get: Listing, query: str) -> AsyncIterator[int]:
    """By pages of seven, as a client that follows cursors."""
    cursor = ""
    while True:
        _, lines = await get(f"/v1/pins?{query}&limit=7{cursor}")
        for line in lines:
            if "cid" in line:
                yield int(str(line["name"])[-3:])
        if not lines or "cursor" not in lines[-1]:
            return
        cursor = f"&cursor={lines[-1]['cursor']}"


async def test_the_order_is_the_one_asked_for(tmp_path: Path) -> None:
    async with listing(tmp_path) as get:
        assert await get.numbers("order=created") == list(range(60))
        assert [number async for number in paged(get, "order=created&name-prefix=cat")] == list(
            range(1, 60, 2)
        )
        by_name = sorted(range(60), key=lambda number: PINS[number].options.name)
        assert await get.numbers("order=name") == by_name
        assert await get.numbers("order=expiry") == list(range(0, 60, 5))


async def test_wrong_parameters_are_named(tmp_path: Path) -> None:
    async with listing(tmp_path) as get:
        for query, named in (
            ("limit=0", "limit"), ("limit=10001", "limit"), ("order=size", "order"), ("colour=red", "colour"),
            ("created-after=now", "created-after"), ("allocated-to=me", "Peer ID"), ("meta-=x", "meta-"),
            ("cursor=xyz", "cursor"), ("status=fine", "filter"), ("status=pinned&order=name", "order"),
        ):  # fmt: skip
            status, (error,) = await get(f"/v1/pins?{query}")
            assert (status, named in error["message"]) == (400, True), (query, error)
        assert (await get("/v1/pins/count?limit=3"))[0] == 400
        _, lines = await get("/v1/pins?name-prefix=cat&limit=3")
        status, _ = await get(f"/v1/pins?name-prefix=d&cursor={lines[-1]['cursor']}")
        assert status == 400


async def test_allocations_lists_every_pin_and_a_damaged_row_hides_no_other(tmp_path: Path) -> None:
    async with listing(tmp_path) as get:
        status, lines = await get("/allocations")
        assert (status, [line["cid"] for line in lines]) == (200, [str(one.cid) for one in in_bytes_order()])
        with closing(sqlite3.connect(tmp_path / "cluster.db")) as db:
            db.execute("UPDATE pins SET value = x'ff' WHERE cid = ?", (bytes(cid(7)),))
            db.commit()
        for path in ("/allocations", "/v1/pins", "/v1/pins?limit=60", "/v1/pins?order=name"):
            status, lines = await get(path)
            assert (status, len([line for line in lines if "cid" in line])) == (200, 59), path


def in_bytes_order() -> list[Pin]:
    return sorted(PINS, key=lambda one: bytes(one.cid))


async def test_a_client_that_reads_slowly_holds_no_transaction(tmp_path: Path) -> None:
    """Nothing of the log of changes (WAL) is kept for it: a checkpoint in between gets through to its end."""
    many = [Pin(Block.of(b"%d" % number).cid, PINS[1].options, (), 1.0) for number in range(6000)]
    async with listing(tmp_path) as get, ClientSession() as client:
        await get.node.parts.pinset.put_many(many)
        async with client.get(f"{get.node.faces.api.url}/allocations") as answer:
            await answer.content.readline()
            with closing(sqlite3.connect(tmp_path / "cluster.db", timeout=10)) as db:
                busy, logged, moved = db.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
            assert (busy, logged) == (0, moved)
            assert len((await answer.text()).splitlines()) == 6059
