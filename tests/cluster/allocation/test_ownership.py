"""Owners of a pin: each keeps it, none changes it for the others, and it goes with the last of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clock import virtual_time
from support.memory_cluster import MemoryCluster, cid
from support.pinset_forger import calm, stopped, wall
from support.pinset_member import agree, grown_cluster, some_cid, some_pin

from cluster.cluster import Cluster
from cluster.common.owners import CLUSTER, held_for, holding, mark_of, marked, united
from cluster.errors import NotOwned, NotPinned
from cluster.pin import GrantAsk, PinMode, PinOptions, Wish

ALICE, BOB = mark_of("alice"), mark_of("bob")
MARKS = st.frozensets(st.sampled_from([CLUSTER, ALICE, BOB, mark_of("alice", "p1"), mark_of("", "p1")]))
TEXTS = st.dictionaries(st.sampled_from(["a", "b", "pinfold"]), st.text(max_size=3))


async def owners(cluster: Cluster, number: int) -> frozenset[str]:
    return holding((await cluster.get_pin(cid(number))).options.metadata)


def wish(owner: str, requests_at: str = "", **options: object) -> Wish:
    return Wish(PinOptions(**options), owner=owner, requests_at=requests_at)  # type: ignore[arg-type]  # by name


@virtual_time
async def test_a_pin_goes_with_the_last_of_its_owners() -> None:
    async with MemoryCluster(1).all() as (cluster,):
        for owner in ("alice", "bob", "alice"):
            await cluster.grant(cid(1), wish(owner))
        await cluster.release(cid(1), "alice")
        assert await owners(cluster, 1) == {BOB}
        with pytest.raises(NotOwned, match='is pinned, and not for "alice"'):
            await cluster.release(cid(1), "alice")
        await cluster.release(cid(1), "bob")
        with pytest.raises(NotPinned):
            await cluster.release(cid(1), "bob")
        assert await cluster.pinset.get(cid(1)) is None


@virtual_time
async def test_what_the_cluster_pinned_itself_stays_when_an_owner_lets_go() -> None:
    async with MemoryCluster(1).all() as (cluster,):
        before = await cluster.pin(cid(1), PinOptions(name="ours"))
        await cluster.grant(cid(1), wish("alice"))
        assert await owners(cluster, 1) == {CLUSTER, ALICE}
        await cluster.release(cid(1), "alice")
        assert await cluster.get_pin(cid(1)) == before


@virtual_time
async def test_what_an_owner_pinned_stays_when_the_cluster_pins_it_too() -> None:
    async with MemoryCluster(1).all() as (cluster,):
        await cluster.grant(cid(1), wish("alice"))
        await cluster.pin(cid(1), PinOptions(name="ours"))
        await cluster.release(cid(1), "alice")
        assert (await cluster.get_pin(cid(1))).options.name == "ours"


@virtual_time
async def test_another_owner_changes_nothing_but_how_long_and_how_whole() -> None:
    async with MemoryCluster(1).all() as (cluster,):
        end = cluster.context.now() + 1000
        mine = wish("alice", name="mine", expire_at=end, mode=PinMode.DIRECT, metadata={"k": "v"})
        await cluster.grant(cid(1), mine)
        await cluster.grant(cid(1), wish("bob", name="his", expire_at=end - 500, metadata={"k": "w"}))
        options = (await cluster.get_pin(cid(1))).options
        assert (options.name, options.expire_at, options.mode) == ("mine", end, PinMode.RECURSIVE)
        assert options.metadata == {"k": "v", ALICE: "", BOB: ""}
        await cluster.grant(cid(1), wish("bob", name="his"))
        assert (await cluster.get_pin(cid(1))).options.expire_at is None


@virtual_time
async def test_an_owner_alone_changes_its_own_pin() -> None:
    async with MemoryCluster(1).all() as (cluster,):
        await cluster.grant(cid(1), wish("alice", name="old"))
        await cluster.grant(cid(1), wish("alice", name="new", metadata={"k": "v"}))
        options = (await cluster.get_pin(cid(1))).options
        assert (options.name, options.metadata) == ("new", {"k": "v", ALICE: ""})


@virtual_time
async def test_marks_are_nobodys_wish() -> None:
    async with MemoryCluster(1).all() as (cluster,):
        await cluster.grant(cid(1), wish("alice", metadata={BOB: ""}))
        assert await owners(cluster, 1) == {ALICE}
        await cluster.grant(cid(2), Wish(PinOptions(pin_update=cid(1))))
        assert await owners(cluster, 2) == {CLUSTER}


@virtual_time
async def test_a_pin_that_is_moved_in_keeps_its_owners() -> None:
    async with MemoryCluster(1).all() as (cluster,):
        moved = Wish(PinOptions(metadata=MappingProxyType({ALICE: ""})))
        await cluster.grant_many([GrantAsk(cid(1), moved, created=5.0)])
        assert await owners(cluster, 1) == {ALICE}


@virtual_time
async def test_requests_and_the_pin_itself_are_let_go_of_apart() -> None:
    async with MemoryCluster(1).all() as (cluster,):
        await cluster.grant(cid(1), wish("alice"))
        await cluster.grant(cid(1), wish("alice", requests_at="p1"))
        await cluster.release(cid(1), "alice", "p1")
        assert await owners(cluster, 1) == {ALICE}
        with pytest.raises(NotOwned):
            await cluster.release(cid(1), "alice", "p1")
        await cluster.grant(cid(1), wish("alice", requests_at="p1"))
        await cluster.release(cid(1), "alice")
        assert await cluster.pinset.get(cid(1)) is None


@virtual_time
async def test_of_many_each_is_let_go_of_or_says_why_not() -> None:
    async with MemoryCluster(1).all() as (cluster,):
        await cluster.grant(cid(1), wish("alice"))
        await cluster.grant(cid(2), wish("bob"))
        found = await cluster.release_many([cid(1), cid(2), cid(3)], "alice")
        assert [type(one).__name__ for one in found] == ["Pin", "NotOwned", "NotPinned"]


@virtual_time
async def test_owners_that_pin_at_once_on_two_members_are_both_kept_everywhere() -> None:
    a, b, c = members = await grown_cluster(3, calm(), wall)
    await asyncio.gather(
        a.pinset.put(some_pin(1, "a", metadata={ALICE: ""})),
        b.pinset.put(some_pin(1, "b", metadata={BOB: "", "k": "v"})),
        c.pinset.put(some_pin(1, "c")),
    )
    await agree(members)
    found = {str(await member.pinset.get(some_cid(1))) for member in members}
    pin = await a.pinset.get(some_cid(1))
    assert pin is not None
    assert holding(pin.options.metadata) == {ALICE, BOB, CLUSTER}
    assert len(found) == 1
    await stopped(*members)


@given(TEXTS, MARKS)
def test_marks_are_written_and_read(texts: Mapping[str, str], marks: frozenset[str]) -> None:
    written = marked(texts, marks)
    assert holding(written) == (marks or {CLUSTER})
    assert marked(written, (CLUSTER,)) == texts


@given(TEXTS, MARKS, MARKS, MARKS)
def test_united_marks_are_those_of_all(
    texts: Mapping[str, str], one: frozenset[str], two: frozenset[str], three: frozenset[str]
) -> None:
    every = holding(marked({}, one)) | holding(marked({}, two)) | holding(marked({}, three))
    assert holding(united(marked(texts, one), [marked({}, two), marked({}, three)])) == every


@given(MARKS)
def test_an_owner_holds_only_its_own(marks: frozenset[str]) -> None:
    metadata = marked({}, marks)
    found = {name: held_for(metadata, name) for name in ("alice", "bob", "")}
    assert frozenset().union(*found.values()) == holding(metadata)
    assert not any(found["alice"] & found[name] for name in ("bob", ""))
