"""The log is cut, and no member that is away loses anything by it."""

from __future__ import annotations

import asyncio

from support.clock import virtual_time
from support.pinset_forger import calm, stopped, wall
from support.pinset_member import PinsetMember, agree, grown_cluster, some_cid, some_pin

from cluster.pinset.tables.log_store import NOTHING, LogStore
from cluster.pinset.tables.store import PinsetStore
from cluster.replication.log_cutter import CutReport, LogRetention

HOUR = 3600.0


async def cut(member: PinsetMember, keep_bytes: int = 0) -> CutReport:
    """To its end."""
    reports = [report async for report in member.pinset.log.cut(keep_bytes)]
    return reports[-1]


async def put(member: PinsetMember, *numbers: int) -> None:
    for number in numbers:
        await member.pinset.put(some_pin(number))


async def heard(members: list[PinsetMember]) -> None:
    """Each has asked each other what it has."""
    for one in members:
        for other in members:
            if one is not other and one.alive and other.alive:
                await one.pinset.sync(other.peer)


@virtual_time
async def test_what_every_member_has_is_cut_and_numbers_go_on_behind_it() -> None:
    members = a, b, c = await grown_cluster(3, calm(), wall)
    await put(a, *range(20))
    await agree(members)
    await heard(members)
    report = await cut(a)
    assert (report.cut.batches, report.left, report.kept_for) == (20, NOTHING, ())
    await put(a, 20)
    await put(b, 21)
    await agree(members)
    assert len(await c.rows()) == 22
    heads = {head.sequence: head for head in await PinsetStore(a.database).heads(0, 10)}
    assert (heads[21].begin, heads[1].begin) == (21, 1)
    assert sorted(head.arrival for head in heads.values()) == [21, 22]
    await a.kill()
    await a.start()
    await put(a, 22)
    await agree(members)
    await stopped(*members)


@virtual_time
async def test_what_a_member_that_is_away_lacks_is_kept_and_named_and_it_catches_up() -> None:
    members = a, b, c = await grown_cluster(3, calm(), wall)
    await put(a, *range(5))
    await agree(members)
    await heard(members)
    await c.stop()
    await put(a, *range(5, 12))
    await agree([a, b])
    await heard([a, b])
    report = await cut(a)
    assert (report.cut.batches, report.left.batches) == (5, 7)
    assert [(one.peer, one.size.batches) for one in report.kept_for] == [(c.peer, 7)]
    await c.start()
    await agree(members)
    assert len(await c.rows()) == 12
    await heard(members)
    assert (await cut(a)).left == NOTHING
    await stopped(*members)


@virtual_time
async def test_what_members_have_is_known_again_after_a_restart() -> None:
    members = a, b = await grown_cluster(2, calm(), wall)
    await put(a, *range(4))
    await agree(members)
    await heard(members)
    await put(a, 4)
    assert (await cut(a)).left.batches <= 1
    await b.stop()
    await put(a, 5)
    await a.kill()
    await a.start()
    report = await cut(a)
    assert report.left.batches in (1, 2), "nothing is cut that it is not known to have"
    await b.start()
    await agree(members)
    assert len(await b.rows()) == 6
    await stopped(*members)


@virtual_time
async def test_a_removed_member_keeps_nothing_and_one_that_is_away_for_too_long_neither() -> None:
    a, b, c = await grown_cluster(3, calm(), wall)
    await a.stop()
    await a.start(retention=LogRetention(keep_seconds=HOUR))
    await c.stop()
    await put(a, *range(10))
    await agree([a, b])
    await heard([a, b])
    assert (await cut(a)).cut == NOTHING
    await asyncio.sleep(1.1 * HOUR)
    assert (await cut(a)).cut.batches == 10, "it is told that it starts from a snapshot"
    await put(a, 10)
    await agree([a, b])
    await heard([a, b])
    assert (await cut(a)).left.batches == 1
    await a.pinset.members.remove(c.peer)
    assert (await cut(a)).left == NOTHING
    await stopped(a, b)


@virtual_time
async def test_by_itself_only_what_is_above_the_retention_goes() -> None:
    members = a, b = await grown_cluster(2, calm(), wall)
    for member in members:
        await member.stop()
        await member.start(retention=LogRetention(keep_bytes=4000, keep_seconds=HOUR))
    await put(a, *range(40))
    await agree(members)
    await asyncio.sleep(1200)
    size = await LogStore(a.database).size(0, 1 << 40)
    assert 3000 < size.bytes <= 4000
    await asyncio.sleep(3 * HOUR)
    assert await LogStore(a.database).size(0, 1 << 40) == size
    assert await b.pinset.count() == 40
    await stopped(*members)


@virtual_time
async def test_a_member_that_lost_more_than_is_left_is_told_and_what_was_cut_is_not_made_up() -> None:
    """Its own batches count too: its new writing reaches all, and nothing that it holds goes."""
    members = a, b, c = await grown_cluster(3, calm(), wall)
    old = len(c.database.images) - 1
    await put(a, *range(6))
    await agree(members)
    await heard(members)
    await cut(a)
    await cut(b)
    await c.kill(old)
    await c.start()
    await c.pinset.put(some_pin(7))
    await asyncio.sleep(60)
    assert some_cid(7) in await a.rows()
    assert some_cid(7) in await c.rows()
    assert len(await a.rows()) == 7
    await stopped(*members)


@virtual_time
async def test_a_document_is_not_made_again_from_a_log_that_was_cut() -> None:
    members = a, b = await grown_cluster(2, calm(), wall)
    await put(a, *range(6))
    await agree(members)
    await heard(members)
    await cut(a)
    number = a.genesis.document_of(some_cid(1))
    await b.database.write(
        lambda db: db.execute(
            "UPDATE documents SET digest1 = digest1 + 1 WHERE number = ?", (number,)
        ).close()
    )
    assert await a.pinset.repair(b.peer) == frozenset()
    assert len(await a.rows()) == 6
    assert await b.pinset.repair(a.peer) == {number}
    await agree(members)
    await stopped(*members)


OVERWRITTEN, REMOVED = 14, 130
"""Bytes that stay of a pin that is overwritten, and of one that is removed (decision 4)."""


@virtual_time
async def test_ten_thousand_rounds_of_overwriting_and_unpinning_leave_no_more_than_is_said() -> None:
    (a,) = await grown_cluster(1, calm(), wall, bits=3)
    await a.stop()
    await a.start(retention=LogRetention(keep_bytes=100_000))
    numbers = range(100)
    await asyncio.gather(*(a.pinset.put(some_pin(number, "0")) for number in numbers))
    await cut(a)
    before = used(a)
    for round_ in range(100):
        await asyncio.gather(*(a.pinset.put(some_pin(one, str(round_))) for one in numbers))
        await asyncio.gather(*(a.pinset.remove(some_cid(one)) for one in numbers))
        await cut(a, 50_000)
    await asyncio.gather(*(a.pinset.put(some_pin(number, "0")) for number in numbers))
    await cut(a)
    assert a.database.pragma("page_count") * 4096 < used(a) + 400_000, "what is cut is used again"
    grown = used(a) - before
    assert grown < 10_000 * OVERWRITTEN + 64 * 1024
    await asyncio.gather(*(a.pinset.remove(some_cid(one)) for one in numbers))
    await cut(a)
    assert used(a) - before < 10_000 * OVERWRITTEN + 100 * REMOVED + 64 * 1024
    await a.stop()


def used(member: PinsetMember) -> int:
    """Bytes of its database that are not free to be used again."""
    pages, free, size = (
        member.database.pragma(name) for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size
