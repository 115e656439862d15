"""What every PinsetReader and PinsetWriter promises (cluster/interfaces.py), run against each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random
from typing import Protocol, TypedDict

import pytest
from support.cluster_network import SimNetwork
from support.inline_database import TABLES, InlineDatabase
from support.memory_cluster import cid
from support.memory_pinset import PinsetView, SharedPins
from support.pinset_member import PinsetMember, identity, some_genesis

from blockstore.cid import CID
from blockstore.sqlite.database import open_database
from cluster.common.pin_codec import decode_pin
from cluster.errors import BadCursor, NotPinned, ReadOnlyMember
from cluster.interfaces import EVERY_PIN, PinChange, PinOrder, PinQuery, PinsetReader, PinsetWriter, Role
from cluster.pin import EVERYWHERE, KeyRange, Pin, PinOptions
from cluster.pinset.tables.schema import PRAGMAS
from cluster.pinset.tables.store import SqlDatabase
from cluster.replication.open_pinset import PinsetSettings, open_pinset


class Pinset(PinsetReader, PinsetWriter, Protocol):
    """Both sides of one."""


Opener = Callable[[Path], AbstractAsyncContextManager[Pinset]]


@asynccontextmanager
async def replicated(database: SqlDatabase) -> AsyncIterator[Pinset]:
    """The real thing; pages of three."""
    peer = SimNetwork(Random(1)).attach(identity(0).peer_id)
    settings = PinsetSettings(page_size=3)
    async with open_pinset(database, some_genesis(), identity(0), peer, settings=settings) as opened:
        yield opened


@asynccontextmanager
async def sqlite(folder: Path) -> AsyncIterator[Pinset]:
    path = folder / "cluster.db"
    async with (
        open_database(path, pragmas=PRAGMAS, schema=TABLES, readers=1) as database,
        replicated(database) as pinset,
    ):
        yield pinset


@asynccontextmanager
async def inline(_folder: Path) -> AsyncIterator[Pinset]:
    """On the database of simulations."""
    with closing(InlineDatabase()) as database:
        async with replicated(database) as pinset:
            yield pinset


@asynccontextmanager
async def memory(_folder: Path) -> AsyncIterator[Pinset]:
    yield PinsetView(SharedPins())


OPENERS: dict[str, Opener] = {"sqlite": sqlite, "inline": inline, "memory": memory}


@pytest.fixture(params=OPENERS)
async def pinset(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pinset]:
    async with OPENERS[request.param](tmp_path) as opened:
        yield opened


def pin(number: int, name: str = "", *held: str, expire_at: float | None = None, **metadata: str) -> Pin:
    """Without holders it is everywhere."""
    most = len(held) or EVERYWHERE
    options = PinOptions(name=name, replication_max=most, expire_at=expire_at, metadata=metadata)
    return Pin(cid(number), options, held, number + 0.25)


async def put_all(pinset: Pinset, pins: list[Pin]) -> None:
    await asyncio.gather(*(pinset.put(one) for one in pins))


async def listed(pinset: Pinset, query: PinQuery = EVERY_PIN) -> list[Pin]:
    return [one async for one in pinset.pins(query)]


async def test_an_empty_pinset_has_no_pin(pinset: Pinset) -> None:
    assert await pinset.get(cid(1)) is None
    assert await pinset.get_many([]) == []
    assert await pinset.get_many([cid(1), cid(1)]) == [None, None]
    assert await listed(pinset) == []
    assert await pinset.count() == 0
    assert not await pinset.was_removed(cid(1))


async def test_what_was_put_is_got_with_all_that_was_asked_of_it(pinset: Pinset) -> None:
    whole = pin(1, "näme", "p", "q", expire_at=2e9, app="x", empty="")
    await pinset.put(whole)
    assert await pinset.get(cid(1)) == whole
    assert await listed(pinset) == [whole]


async def test_many_are_put_and_removed_in_order(pinset: Pinset) -> None:
    assert await pinset.put_many([pin(1, "old"), pin(2), pin(1, "new")]) == [None, None, None]
    assert await listed(pinset) == [pin(1, "new"), pin(2)]
    gone = await pinset.remove_many([cid(2), cid(3), cid(2)])
    assert await pinset.were_removed([cid(1), cid(2), cid(3)]) == [False, True, False]
    assert await pinset.were_removed([]) == []
    assert gone[0] == pin(2)
    assert [isinstance(one, NotPinned) for one in gone] == [False, True, True]
    assert await pinset.put_many([]) == await pinset.remove_many([]) == []
    assert await listed(pinset) == [pin(1, "new")]


async def test_many_answers_stand_in_the_order_of_the_questions(pinset: Pinset) -> None:
    await put_all(pinset, [pin(1), pin(2)])
    assert await pinset.get_many([cid(2), cid(3), cid(1), cid(2)]) == [pin(2), None, pin(1), pin(2)]


async def test_putting_again_replaces(pinset: Pinset) -> None:
    await pinset.put(pin(1, "old", "p", app="x"))
    await pinset.put(pin(1, "new", "q"))
    assert await listed(pinset) == [pin(1, "new", "q")]
    for query in (PinQuery(name="old"), PinQuery(held_by="p"), PinQuery(metadata=(("app", "x"),))):
        assert await pinset.count(query) == 0


async def test_removing_gives_the_pin_as_it_was_and_a_second_time_is_an_error(pinset: Pinset) -> None:
    await pinset.put(pin(1, "one"))
    assert await pinset.remove(cid(1)) == pin(1, "one")
    assert await pinset.get(cid(1)) is None
    with pytest.raises(NotPinned):
        await pinset.remove(cid(1))


async def test_a_removal_is_known_until_the_pin_is_made_again(pinset: Pinset) -> None:
    await pinset.put(pin(1))
    assert not await pinset.was_removed(cid(1))
    await pinset.remove(cid(1))
    assert await pinset.was_removed(cid(1))
    assert not await pinset.was_removed(cid(2))
    await pinset.put(pin(1))
    assert not await pinset.was_removed(cid(1))


async def test_a_cid_of_another_version_or_codec_is_another_pin(pinset: Pinset) -> None:
    forms = [cid(1), CID.v1(0x70, cid(1).multihash), CID.v0(cid(1).multihash)]
    await put_all(pinset, [Pin(form, PinOptions(replication_max=EVERYWHERE), (), 1.0) for form in forms])
    assert await pinset.count() == 3
    await pinset.remove(forms[0])
    assert {one.cid for one in await listed(pinset)} == set(forms[1:])


PINS = [
    pin(
        number,
        ["", "a", "bä"][number % 3],
        *[(), ("p",), ("p", "q"), ("q",)][number % 4],
        expire_at=[None, 10.0, 20.0][number % 3],
        **[{}, {"app": "x"}, {"app": "y", "team": "z"}][number // 3 % 3],
    )
    for number in range(40)
]


class Condition(TypedDict, total=False):
    """A field of PinQuery."""

    after: CID
    name: str
    name_prefix: str
    name_contains: str
    held_by: str
    allocated_to: str
    expires_after: float
    expires_before: float
    created_after: float
    created_before: float
    metadata: tuple[tuple[str, str], ...]
    metadata_keys: tuple[str, ...]


CONDITIONS: list[list[tuple[Condition, Callable[[Pin], bool]]]] = [
    [
        ({}, lambda one: True),
        ({"name": "a"}, lambda one: one.options.name == "a"),
        ({"name": ""}, lambda one: one.options.name == ""),
        ({"name_prefix": "b"}, lambda one: one.options.name.startswith("b")),
        ({"name_prefix": "b\U0010ffff"}, lambda one: False),
        ({"name_contains": "a"}, lambda one: "a" in one.options.name),
        ({"name_prefix": "b", "name_contains": "ä"}, lambda one: one.options.name == "bä"),
    ],
    [
        ({}, lambda one: True),
        ({"held_by": "p"}, lambda one: one.held_by("p")),
        ({"held_by": "no member"}, lambda one: one.everywhere),
        ({"allocated_to": "p"}, lambda one: "p" in one.allocations),
        ({"allocated_to": "no member"}, lambda one: False),
    ],
    [
        ({}, lambda one: True),
        ({"expires_before": 20.0}, lambda one: one.options.expire_at == 10.0),
        ({"expires_before": 20.5}, lambda one: one.options.expire_at is not None),
        ({"expires_after": 20.0}, lambda one: one.options.expire_at == 20.0),
    ],
    [
        ({}, lambda one: True),
        ({"created_after": 17.0}, lambda one: int(one.created) >= 17),
        ({"created_after": 5.0, "created_before": 30.0}, lambda one: 5 <= int(one.created) < 30),
    ],
    [
        ({}, lambda one: True),
        ({"metadata": (("app", "x"),)}, lambda one: one.options.metadata.get("app") == "x"),
        ({"metadata": (("app", "y"), ("team", "z"))}, lambda one: "team" in one.options.metadata),
        ({"metadata": (("app", "x"), ("team", "z"))}, lambda one: False),
    ],
    [
        ({}, lambda one: True),
        ({"metadata_keys": ("team",)}, lambda one: "team" in one.options.metadata),
        ({"metadata_keys": ("app", "team")}, lambda one: "team" in one.options.metadata),
    ],
    [
        ({}, lambda one: True),
        ({"after": cid(17)}, lambda one: bytes(one.cid) > bytes(cid(17))),
    ],
]
_Chosen = tuple[tuple[Condition, Callable[[Pin], bool]], ...]
EVERY_CHOICE: list[_Chosen] = list(product(*CONDITIONS))
EACH_ALONE: list[_Chosen] = [(condition,) for group in CONDITIONS for condition in group]


def asked(conditions: _Chosen, order: PinOrder | None) -> PinQuery:
    query = PinQuery(order=order)
    for condition, _ in conditions:
        query = replace(query, **condition)
    return query


def in_order(pins: list[Pin], order: PinOrder | None) -> list[Pin]:
    def key(one: Pin) -> tuple[str | float, bytes]:
        expiry = one.options.expire_at or 0.0
        keys: dict[PinOrder | None, str | float] = {
            PinOrder.NAME: one.options.name,
            PinOrder.CREATED: float(int(one.created)),
            PinOrder.EXPIRY: expiry,
        }
        return keys.get(order, 0.0), bytes(one.cid)

    listed = [one for one in pins if order is not PinOrder.EXPIRY or one.options.expire_at is not None]
    return sorted(listed, key=key)


async def test_every_condition_given_must_hold_and_the_order_is_the_one_asked_for(pinset: Pinset) -> None:
    await put_all(pinset, PINS[::-1])
    chance = Random(3)
    for conditions in EACH_ALONE + chance.sample(EVERY_CHOICE, 150):
        order = chance.choice([None, *PinOrder])
        query = asked(conditions, order)
        wanted = in_order([one for one in PINS if all(holds(one) for _, holds in conditions)], order)
        assert await listed(pinset, query) == wanted, query
        if order is not PinOrder.EXPIRY:
            assert await pinset.count(query) == len(wanted), query
        paged = [one async for one in all_pages(pinset, query, chance.randrange(1, 12))]
        assert (paged if order else in_order(paged, None)) == wanted, query


async def all_pages(pinset: Pinset, query: PinQuery, limit: int) -> AsyncIterator[Pin]:
    cursor: str | None = None
    while True:
        page = await pinset.page(query, cursor, limit)
        assert len(page.pins) <= limit
        for one in page.pins:
            yield one
        cursor = page.cursor
        if cursor is None:
            return


@pytest.mark.parametrize("order", PinOrder)
async def test_a_cursor_stays_good_while_pins_come_and_go(pinset: Pinset, order: PinOrder) -> None:
    """What was there all the time is given once; of what changes nothing is promised but that it ends."""
    stay, go, come = PINS[::3], PINS[1::3], PINS[2::3]
    await put_all(pinset, stay + go)
    page = await pinset.page(PinQuery(order=order), limit=5)
    seen = list(page.pins)
    while page.cursor is not None:
        if go:
            await pinset.remove(go.pop().cid)
            await pinset.put(come.pop())
        page = await pinset.page(PinQuery(order=order), page.cursor, 5)
        seen += page.pins
    assert [one for one in seen if one in stay] == in_order(stay, order)
    assert len(seen) == len({one.cid for one in seen})


async def test_what_is_no_cursor_of_that_query_is_refused(pinset: Pinset) -> None:
    await put_all(pinset, PINS)
    cursor = (await pinset.page(PinQuery(name="a"), limit=2)).cursor
    assert cursor is not None
    for query, given in ((PinQuery(name="b"), cursor), (EVERY_PIN, cursor), (EVERY_PIN, "no cursor")):
        with pytest.raises(BadCursor):
            await pinset.page(query, given)


async def test_a_listing_that_is_left_early_keeps_no_writer_waiting(pinset: Pinset) -> None:
    await put_all(pinset, PINS)
    seen: list[Pin] = []
    async for one in pinset.pins():
        seen.append(one)
        if len(seen) == 5:
            await asyncio.wait_for(pinset.remove(PINS[-1].cid), 20)
    assert seen in (PINS, PINS[:-1])


async def test_each_handler_hears_of_each_change_in_order_once_it_can_be_read(pinset: Pinset) -> None:
    first: list[PinChange] = []
    second: list[PinChange] = []
    pinset.on_changes(first.extend)
    pinset.on_changes(second.extend)
    await pinset.put(pin(1, "one"))
    assert await pinset.get(cid(1)) is not None
    await pinset.put(pin(1, "two"))
    await pinset.remove(cid(1))
    with pytest.raises(NotPinned):
        await pinset.remove(cid(2))
    assert first == second
    assert [one[:2] for one in first] == [(cid(1), pin(1, "one")), (cid(1), pin(1, "two")), (cid(1), None)]


async def test_new_pins_are_put_and_what_is_pinned_already_stays_and_is_given(pinset: Pinset) -> None:
    heard: list[PinChange] = []
    await pinset.put_many([pin(1, "there"), pin(2, "removed")])
    await pinset.remove(cid(2))
    pinset.on_changes(heard.extend)
    given = await pinset.put_new_many([pin(1, "new"), pin(2, "new"), pin(3, "new")])
    assert given == [pin(1, "there"), None, None]
    assert [one.options.name for one in await listed(pinset)] == ["there", "new", "new"]
    assert {change.cid for change in heard} == {cid(2), cid(3)}
    assert await pinset.put_new_many([pin(1, "newer"), pin(3, "newer")]) == [pin(1, "there"), pin(3, "new")]
    assert await pinset.put_new_many([]) == []
    assert len(heard) == 2


async def test_concurrent_writers_of_one_pin_leave_one_of_them(pinset: Pinset) -> None:
    heard: list[PinChange] = []
    pinset.on_changes(heard.extend)
    await asyncio.gather(*(pinset.put(pin(1, f"writer {number}")) for number in range(20)))
    (left,) = await listed(pinset)
    assert left.options.name.startswith("writer")
    assert heard[-1][:2] == (cid(1), left)


async def follower_of_a_cluster() -> AsyncIterator[Pinset]:
    network, genesis = SimNetwork(Random(1), delay=0.001), some_genesis()
    founder, follower = (PinsetMember(number, genesis, network, lambda: 1e9) for number in range(2))
    try:
        token = await (await founder.start()).invite(b"s" * 32, Role.FOLLOWER)
        pinset = await follower.start(token)
        await asyncio.wait_for(pinset.standing.joined.wait(), 20)
        yield pinset
    finally:
        await follower.stop()
        await founder.stop()


async def follower_in_memory() -> AsyncIterator[Pinset]:
    yield PinsetView(SharedPins(), read_only=True)


@pytest.mark.parametrize("follower", [follower_of_a_cluster, follower_in_memory])
async def test_a_follower_reads_and_does_not_write(follower: Callable[[], AsyncIterator[Pinset]]) -> None:
    async for pinset in follower():
        many = pinset.put_many([pin(1)]), pinset.remove_many([cid(1)])
        for write in (pinset.put(pin(1)), pinset.remove(cid(1)), *many):
            with pytest.raises(ReadOnlyMember):
                await write
        assert await listed(pinset) == []


async def test_a_key_range_has_its_pins_in_order_as_they_are_stored(pinset: Pinset) -> None:
    pins = [pin(number, f"n{number}", "p", app="x" * number) for number in range(1, 10)]
    await put_all(pinset, pins)
    found = await pinset.stored(KeyRange(bytes(cid(2)), bytes(cid(8))), 100)
    assert [
        decode_pin(value).pin(CID.decode(key)) for key, value in zip(found.cids, found.values, strict=True)
    ] == pins[2:8]
    assert found.until == bytes(cid(8))
    found = await pinset.stored(KeyRange(bytes(cid(2)), bytes(cid(8))), 2)
    assert (list(found.cids), found.until) == ([bytes(cid(3)), bytes(cid(4))], bytes(cid(4)))
    assert list((await pinset.stored(KeyRange(bytes(cid(9))), 5)).cids) == []
