"""A member that would hold more than it may is told, or its log waits: nothing is lost."""

from __future__ import annotations

import asyncio

import pytest
from support.clock import virtual_time
from support.pinset_forger import calm, stopped, wall
from support.pinset_member import PinsetMember, agree, grown_cluster, some_cid, some_pin

from cluster.errors import MemberQuotaReached
from cluster.pinset.tables.live_entries import LiveEntries, MemberQuota
from cluster.pinset.tables.store import PinsetStore


async def restarted(member: PinsetMember, quota: MemberQuota) -> None:
    await member.stop()
    member.quota = quota
    await member.start()


async def holds(member: PinsetMember, pins: int) -> bool:
    await asyncio.sleep(5.0)
    return await member.pinset.count() == pins


async def live(member: PinsetMember, author: str) -> LiveEntries:
    """As it is on disk."""
    store = PinsetStore(member.database)
    await store.prepare()
    logs = [head.log for head in await store.heads(0, 100)]
    return store.live.of({log.client for log in logs if log.author == author})


@virtual_time
async def test_own_pins_above_the_quota_are_refused_and_room_is_made_by_unpinning() -> None:
    a, b = members = await grown_cluster(2, calm(), wall)
    await restarted(a, MemberQuota(pins=10))
    errors = await a.pinset.put_many([some_pin(number) for number in range(15)])
    assert [type(error) for error in errors] == [type(None)] * 10 + [MemberQuotaReached] * 5
    with pytest.raises(MemberQuotaReached, match=r"10 pins of .* cluster\.member_pins"):
        await a.pinset.put(some_pin(20))
    await a.pinset.remove(some_cid(3))
    await a.pinset.put(some_pin(20))
    await agree(members)
    await b.pinset.remove(some_cid(4))
    await agree(members)
    await a.pinset.put(some_pin(21))
    await agree(members)
    assert await b.pinset.count() == 10
    await stopped(*members)


@virtual_time
async def test_many_at_once_and_large_ones_do_not_slip_through() -> None:
    (a,) = await grown_cluster(1, calm(), wall)
    await restarted(a, MemberQuota(pins=7, bytes=20_000))
    results = await asyncio.gather(
        *(a.pinset.put(some_pin(number)) for number in range(30)), return_exceptions=True
    )
    assert sum(isinstance(one, MemberQuotaReached) for one in results) == 23
    assert await a.pinset.count() == 7
    for number in range(4):
        await a.pinset.remove(some_cid(number))
    large = [some_pin(number, metadata={"k": "v" * 8000}) for number in range(40, 43)]
    assert [error is None for error in await a.pinset.put_many(large)] == [True, True, False]
    await a.stop()


@virtual_time
async def test_anothers_log_stands_still_at_its_quota_and_goes_on_when_there_is_room() -> None:
    a, b, c = members = await grown_cluster(3, calm(), wall)
    await restarted(b, MemberQuota(pins=20))
    for number in range(30):
        await a.pinset.put(some_pin(number))
    await c.pinset.put(some_pin(100))
    assert await holds(b, 21)
    assert b.pinset.log.paused_logs() == 1
    await c.pinset.remove(some_cid(0))
    assert await holds(b, 21), "one less and one more, and what c wrote is not held up"
    await restarted(b, MemberQuota(pins=25))
    assert await holds(b, 26)
    await restarted(b, MemberQuota())
    await agree(members, within=30.0)
    assert b.pinset.log.paused_logs() == 0
    await stopped(*members)


@virtual_time
async def test_its_own_unpins_let_a_log_go_on() -> None:
    a, b = members = await grown_cluster(2, calm(), wall)
    await restarted(b, MemberQuota(pins=20))
    await a.pinset.put_many([some_pin(number) for number in range(18)])
    await a.pinset.put_many([some_pin(number) for number in range(18, 30)])
    assert await holds(b, 18)
    await a.pinset.remove_many([some_cid(number) for number in range(15)])
    await agree(members, within=90.0)
    assert await b.pinset.count() == 15
    await stopped(*members)


@virtual_time
async def test_what_is_live_is_counted_with_each_change_and_after_a_restart() -> None:
    a, b = members = await grown_cluster(2, calm(), wall)
    await a.pinset.put_many([some_pin(number) for number in range(10)])
    await agree(members)
    await b.pinset.put(some_pin(1, "again"))
    await b.pinset.remove(some_cid(2))
    await agree(members)
    for member in members:
        await restarted(member, MemberQuota())
        by_a, by_b = await live(member, a.peer), await live(member, b.peer)
        assert (by_a.pins, by_b.pins) == (8, 1)
        (total,) = await member.database.read(
            lambda db: db.execute("SELECT sum(length(value)) FROM pins").fetchone()
        )
        assert by_a.bytes + by_b.bytes == total
    await stopped(*members)
