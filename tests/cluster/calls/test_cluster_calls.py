"""Calls between members: who may call what, and answers that are read without being believed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clock import virtual_time
from support.memory_cluster import MemoryCluster, cid
from support.memory_members import MemoryMembers
from support.memory_network import Port

from blockstore.cid import CID
from cluster.calls.client import MemberClient
from cluster.calls.codec import (
    decode_info,
    decode_node,
    decode_page,
    encode_info,
    encode_node,
    encode_page,
)
from cluster.calls.node_info import IpfsInfo, NodeInfo
from cluster.common import methods
from cluster.common.names import as_name
from cluster.common.sorted_merge import closed_after, merge
from cluster.common.wire import encode
from cluster.errors import BadUpdate, UntrustedPeer
from cluster.interfaces import Member, Role
from cluster.pin import PinInfo, PinOptions, Progress, Status
from cluster.ports import CallFailed
from cluster.tracking.status import EVERY_STATUS, StatusPage, StatusRow

PINS = ["pins/holds", "pins/status", "pins/statuses", "pins/columns"]
ASKED = ["node/id", *PINS, "pins/status-of"]  # by followers too
METHODS = [*ASKED, "pins/recover", "pins/recover-all"]

counts = st.integers(0, 2**40)
some = st.integers(1, 2**40)
progress = st.builds(Progress, counts, counts, st.just(0)) | st.builds(
    Progress, counts, counts, some, st.none() | some, counts.map(float)
)
infos = st.builds(
    PinInfo,
    peer=st.just("P"),
    peer_name=st.just("name"),
    status=st.sampled_from(Status),
    since=st.floats(0, 2e9),
    error=st.text(max_size=50),
    attempts=st.integers(0, 1000),
    priority=st.booleans(),
    progress=st.none() | progress,
    retry_at=st.none() | st.floats(1, 2e9),
)
shown = st.text(max_size=20).map(as_name)
texts = st.lists(shown, max_size=4).map(tuple)
nodes = st.builds(
    NodeInfo,
    id=st.just("P"),
    peer_name=shown,
    addresses=texts,
    cluster_peers=texts,
    cluster_peer_addresses=texts,
    connected=texts,
    version=shown,
    ipfs=st.builds(IpfsInfo, shown, texts, st.frozensets(shown, max_size=3)),
)


@given(infos)
def test_a_status_survives_the_wire(info: PinInfo) -> None:
    assert decode_info("P", "name", encode_info(info)) == info


@given(nodes)
def test_a_member_survives_the_wire(node: NodeInfo) -> None:
    assert decode_node("P", encode_node(node)) == node


def test_what_a_terminal_would_obey_in_a_members_word_of_itself_is_left_out() -> None:
    odd = "/ip4/127.0.0.1/tcp/1\x1b[2J"
    node = NodeInfo("P", "a\nb\x1b]0;x\x07", (odd, "fine"), version="1\r", ipfs=IpfsInfo("Q\x00", (odd,)))
    read = decode_node("P", encode_node(node))
    assert (read.peer_name, read.addresses, read.version) == ("ab]0;x", ("fine",), "1")
    assert read.ipfs == IpfsInfo("Q")


@given(st.sets(st.integers(1, 10_000), max_size=5), infos, st.booleans())
def test_a_page_survives_the_wire(numbers: set[int], info: PinInfo, more: bool) -> None:
    rows = tuple(StatusRow(cid(number), info) for number in sorted(numbers))
    page = StatusPage(rows, cid(20_000) if more else None)
    assert decode_page("P", "name", encode_page(page), None, 1000) == page


@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_or_a_bad_update(data: bytes) -> None:
    for read in (
        lambda: decode_info("P", "", data),
        lambda: decode_node("P", data),
        lambda: decode_page("P", "", data, None, 10),
    ):
        with suppress(BadUpdate):
            read()


@pytest.mark.parametrize(
    ("numbers", "after", "asked"),
    [([2, 1], None, None), ([1, 1], None, None), ([1], None, 1), ([3], 2, None), ([], 1, 1), ([], 1, 2)],
)
def test_a_page_that_would_never_end_is_refused(
    numbers: list[int], after: int | None, asked: int | None
) -> None:
    info = PinInfo("P", "", Status.PINNED, 1.0)
    page = StatusPage(tuple(StatusRow(cid(n), info) for n in numbers), cid(after) if after else None)
    with pytest.raises(BadUpdate):
        decode_page("P", "", encode_page(page), cid(asked) if asked else None, 10)


def test_a_page_above_what_was_asked_for_is_refused() -> None:
    info = PinInfo("P", "", Status.PINNED, 1.0)
    page = StatusPage(tuple(StatusRow(cid(n), info) for n in range(1, 12)), None)
    with pytest.raises(BadUpdate):
        decode_page("P", "", encode_page(page), None, 10)


@virtual_time
async def test_strangers_may_ask_nothing_and_followers_may_not_give_orders() -> None:
    world = MemoryCluster(2, followers=[1])
    async with world.all():
        stranger = world.network.port("stranger")
        world.network.up.add("stranger")
        request = encode(
            {"cid": bytes(cid(1)), "wanted": ["pinned"], "after": b"", "until": b"\xff", "limit": 10}
        )
        answered = {
            caller.peer: [m for m in METHODS if await answers(caller, world.peers[0], m, request)]
            for caller in (stranger, world.machines[1].port)
        }
        assert answered == {"stranger": [], world.peers[1]: ASKED}
        assert await answers(world.machines[0].port, world.peers[1], "pins/recover", request)


async def answers(caller: Port, peer: str, method: str, request: bytes) -> bool:
    try:
        await caller.call(peer, method, request)
    except CallFailed as error:
        return "of this cluster" not in str(error)
    return True


@pytest.mark.parametrize("method", PINS)
def test_a_request_nobody_can_read_is_refused(method: str) -> None:
    @virtual_time
    async def scenario() -> None:
        world = MemoryCluster(2)
        bad = [b"", b"\xff", b"\xa0" * 100_000, encode([1]), encode({"cid": b"x", "wanted": ["nonsense"]})]
        async with world.all():
            for request in bad:
                with pytest.raises(CallFailed):
                    await world.machines[1].port.call(world.peers[0], method, request)

    scenario()


@virtual_time
async def test_a_member_that_answers_nonsense_is_an_error_in_the_listing_and_not_its_end() -> None:
    world = MemoryCluster(2)
    async with world.all() as clusters:
        await clusters[0].pin(cid(1), PinOptions())

        async def nonsense(peer: str, request: bytes) -> bytes:
            return b"\x00"

        world.machines[1].port.methods.replace("pins/statuses", nonsense)
        world.machines[1].port.methods.replace("pins/columns", nonsense)
        world.machines[1].port.methods.replace("pins/status", nonsense)
        (listed,) = [info async for info in clusters[0].statuses.all()]
        (page,) = [page async for page in clusters[0].statuses.pages(EVERY_STATUS)]
        failed = page.members[1].failed
        assert failed is not None
        assert failed.error == listed.peers[world.peers[1]].error
        asked = await clusters[0].statuses.one(cid(1))
        for info in (listed, asked):
            assert info.peers[world.peers[1]].status is Status.CLUSTER_ERROR
            assert "cannot be read" in info.peers[world.peers[1]].error


@virtual_time
async def test_pages_of_another_member_follow_each_other() -> None:
    world = MemoryCluster(2)
    async with world.all() as clusters:
        for number in range(5):
            await clusters[0].pin(cid(number), PinOptions())
        remote = MemberClient(world.machines[1].port, 15.0)
        member = Member(world.peers[0], "m0", Role.TRUSTED)
        page = await remote.page(member, EVERY_STATUS, cid(2))
        assert [row.cid for row in page.rows] == [cid(3), cid(4)]
        assert page.after is None


@given(st.lists(st.lists(st.integers(0, 50), unique=True).map(sorted), max_size=5))
def test_streams_merge_in_order_with_everything_said_of_a_cid_together(numbers: list[list[int]]) -> None:
    async def stream(index: int, items: list[int]) -> AsyncIterator[tuple[CID, int]]:
        for item in items:
            yield cid(item), index

    async def merged() -> list[tuple[CID, list[int]]]:
        return [pair async for pair in merge([stream(i, items) for i, items in enumerate(numbers)])]

    everything = sorted({item for items in numbers for item in items})
    expected = [(cid(n), [i for i, items in enumerate(numbers) if n in items]) for n in everything]
    assert asyncio.run(merged()) == expected


async def test_a_stream_that_fails_at_its_start_fails_the_merge_once_the_others_have_answered() -> None:
    closed: list[str] = []

    async def failing(items: list[int]) -> AsyncIterator[tuple[CID, int]]:
        for item in items:
            yield cid(item), item
        raise CallFailed("a damaged page")

    async def slow() -> AsyncIterator[tuple[CID, int]]:
        try:
            await asyncio.sleep(0)
            yield cid(1), 1
        finally:
            closed.append("slow")

    with pytest.raises(CallFailed, match="a damaged page"):
        _ = [pair async for pair in merge([failing([]), slow()])]
    assert closed == ["slow"]


async def test_a_merge_that_is_left_early_closes_its_streams() -> None:
    closed = []

    async def endless(name: str) -> AsyncIterator[tuple[CID, str]]:
        try:
            for number in range(10**9):
                yield cid(number), name
        finally:
            closed.append(name)

    async with closed_after(merge([endless("a"), endless("b")])) as merging:
        assert await anext(merging) == (cid(0), ["a", "b"])
    assert sorted(closed) == ["a", "b"]


def test_every_call_that_anyone_may_make_proves_itself_and_no_other_is_open() -> None:
    assert [method.name for method in methods.METHODS if method.access is methods.Access.ANYONE] == [
        "pinset/members",
        "pinset/join",
    ]
    assert len({method.name for method in methods.METHODS}) == len(methods.METHODS) >= 16


@pytest.mark.parametrize("method", methods.METHODS, ids=lambda method: method.name)
async def test_the_guard_stands_before_each_method(method: methods.Method) -> None:
    members = MemoryMembers([Member("trusted", "", Role.TRUSTED), Member("follower", "", Role.FOLLOWER)])

    async def answer(peer: str, request: bytes) -> bytes:
        return b"answered"

    handler = methods.guarded(method, members, answer)
    callers = {
        methods.Access.ANYONE: {"trusted", "follower", "stranger"},
        methods.Access.MEMBER: {"trusted", "follower"},
        methods.Access.TRUSTED: {"trusted"},
    }[method.access]
    for peer in ("trusted", "follower", "stranger"):
        if peer in callers:
            assert await handler(peer, b"") == b"answered"
        else:
            with pytest.raises(UntrustedPeer, match=f"{peer} is not one"):
                await handler(peer, b"")
