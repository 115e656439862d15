"""Two batches under one number: found, proved, told, and the log goes no further anywhere."""

from __future__ import annotations

import asyncio

import pytest
from support.clock import virtual_time
from support.pinset_forger import calm, gossiped, logs_of, stopped, wall
from support.pinset_member import PinsetMember, agree, grown_cluster, some_cid, some_pin

from cluster.common.methods import BATCHES
from cluster.pinset.tables.fork_store import ForkStore


async def forks_at(member: PinsetMember) -> dict[str, int]:
    return {log.author: sequence for log, sequence in (await ForkStore(member.database).forks()).items()}


async def until_known(member: PinsetMember, author: PinsetMember) -> int:
    async with asyncio.timeout(300):
        while author.peer not in (known := await forks_at(member)):  # noqa: ASYNC110 - it is in a database
            await asyncio.sleep(1.0)
    return known[author.peer]


async def part_in_a_fork(author: PinsetMember, other: PinsetMember) -> None:
    """The author is put back to before its second batch, which the other has, and writes another one."""
    await author.pinset.put(some_pin(1))
    before = len(author.database.images) - 1
    await author.pinset.put(some_pin(2))
    await agree([author, other])
    author.network.part([author.peer], [other.peer])
    await author.roll_back(before)
    await author.pinset.put(some_pin(3))


@virtual_time
async def test_a_machine_rolled_back_with_its_memory_is_found_by_gossip_and_told_to_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    members = a, b, c = await grown_cluster(3, calm(), wall)
    await a.pinset.put(some_pin(1))
    before = len(a.database.images) - 1
    await a.pinset.put(some_pin(2, "one future"))
    await a.pinset.put(some_pin(3, "one future"))
    await agree(members)
    a.network.part([a.peer], [b.peer, c.peer])
    await a.roll_back(before)
    await a.pinset.put(some_pin(4, "another future"))
    a.network.part()
    assert {await until_known(member, a) for member in members} == {2}
    assert "has signed two different batches under number 2 of one log" in caplog.text
    assert "member" in caplog.text
    await a.pinset.put(some_pin(5, "in a new epoch"))
    for member in (b, c):
        async with asyncio.timeout(120):
            while some_cid(5) not in await member.rows():  # noqa: ASYNC110 - it is in a database
                await asyncio.sleep(1.0)
    for member in members:
        assert member.pinset.counts.forked == 1
    await agree(members)
    names = {1: "", 2: "one future", 3: "one future", 4: "another future"}
    rows = await c.rows()
    assert {number: rows[some_cid(number)].options.name for number in names} == names
    assert len(await logs_of(a, at=b)) == 2
    await stopped(*members)


@virtual_time
async def test_the_first_number_that_differs_is_found_though_a_later_one_shows_it() -> None:
    network = calm()
    members = a, b, c = await grown_cluster(3, network, wall)
    for number in range(4):
        await a.pinset.put(some_pin(number))
    await agree(members)
    before = len(a.database.images) - 1
    network.part([a.peer, b.peer], [c.peer])
    for number in range(10, 17):
        await a.pinset.put(some_pin(number))
    await agree([a, b])
    network.part([a.peer, c.peer], [b.peer])
    await a.roll_back(before)
    for number in range(20, 27):
        await a.pinset.put(some_pin(number))
    await agree([a, c])
    await a.stop()
    network.part()
    assert await until_known(b, a) == 5
    assert await until_known(c, a) == 5
    await stopped(b, c)


@virtual_time
async def test_a_batch_that_comes_again_as_it_was_is_no_fork() -> None:
    members = a, b = await grown_cluster(2, calm(), wall)
    for number in range(3):
        await a.pinset.put(some_pin(number))
    await agree(members)
    for envelope in await a.envelopes():
        await gossiped(envelope, a.peer, to=b)
    await asyncio.sleep(100)
    assert await forks_at(b) == {}
    await stopped(*members)


@virtual_time
async def test_a_fork_is_known_again_after_a_restart_and_to_members_that_come_later() -> None:
    network = calm()
    members = a, b, c = await grown_cluster(3, network, wall)
    await c.stop()
    await a.pinset.put(some_pin(1))
    before = len(a.database.images) - 1
    await a.pinset.put(some_pin(2))
    await agree([a, b])
    network.part([a.peer], [b.peer])
    await a.roll_back(before)
    await a.pinset.put(some_pin(3))
    network.part()
    await until_known(b, a)
    await a.stop()
    await b.kill()
    await b.start()
    await c.start()
    assert await until_known(c, a) == 2
    await stopped(*members)


@virtual_time
async def test_a_deletion_that_meant_the_other_branch_costs_no_pin() -> None:
    """One document holds all pins, and a member of one branch unpins what stands under the same clock."""
    network = calm()
    members = a, b, c = await grown_cluster(3, network, wall, bits=0)
    await a.pinset.put(some_pin(1))
    await agree(members)
    before = len(a.database.images) - 1
    network.part([a.peer, b.peer], [c.peer])
    await a.pinset.put(some_pin(2))
    await agree([a, b])
    await b.pinset.remove(some_cid(2))
    (removal,) = (await b.envelopes())[-1:]
    network.part([a.peer, c.peer], [b.peer])
    await a.roll_back(before)
    await a.pinset.put(some_pin(3))
    await agree([a, c])
    for member in (a, c):
        await gossiped(removal, b.peer, to=member)
        assert some_cid(3) not in await member.rows(), "it hits another pin than it meant"
    network.part()
    assert {await until_known(member, a) for member in members} == {2}
    await asyncio.sleep(120)
    await agree(members)
    assert {some_cid(1), some_cid(3)} <= set(await b.rows())
    await stopped(*members)


@virtual_time
async def test_a_sign_of_a_fork_is_not_lost_with_a_member_that_cannot_be_asked_just_then() -> None:
    network = calm()
    members = a, b = await grown_cluster(2, network, wall)
    await part_in_a_fork(a, b)
    await asyncio.sleep(1)  # nothing is on its way any more
    methods = [network.peers[member.peer].methods for member in members]
    answers = [one.handler(BATCHES.name) for one in methods]
    for one in methods:
        one.replace(BATCHES.name, _refuse)
    network.part()
    await asyncio.sleep(20)
    assert [await forks_at(member) for member in members] == [{}, {}]
    for one, answer in zip(methods, answers, strict=True):
        one.replace(BATCHES.name, answer)
    assert {await until_known(member, a) for member in members} == {2}
    await agree(members)
    assert {some_cid(1), some_cid(2), some_cid(3)} <= set(await b.rows())
    await stopped(*members)


@pytest.mark.parametrize("statement", range(0, 60, 6))
@virtual_time
async def test_a_full_disk_delays_what_a_fork_needs_and_is_tried_now_and_then(
    statement: int, caplog: pytest.LogCaptureFixture
) -> None:
    network = calm()
    members = a, b = await grown_cluster(2, network, wall)
    await part_in_a_fork(a, b)
    await asyncio.sleep(1)
    a.database.fail_at(statement, OSError("disk full"))
    network.part()
    await asyncio.sleep(60)
    assert len([one for one in caplog.records if "a forked log" in one.message]) < 20
    a.database.recover()
    assert {await until_known(member, a) for member in members} == {2}
    await asyncio.sleep(90)
    await agree(members)
    assert {some_cid(1), some_cid(2), some_cid(3)} <= set(await b.rows())
    await stopped(*members)


async def _refuse(peer: str, request: bytes) -> bytes:
    raise OSError("the disk is busy")
