"""Pins written at one member reach the others, durable before they are acknowledged; nothing forged does."""

from __future__ import annotations

import asyncio

import pytest
from support.clock import virtual_time
from support.inline_database import Crashed
from support.pinset_forger import Forger, calm, document_of, stopped, wall
from support.pinset_member import agree, grown_cluster, some_cid, some_pin

from cluster.errors import BadPinOptions, NotPinned, ReadOnlyMember
from cluster.interfaces import PinChange, Role


@virtual_time
async def test_a_pin_is_readable_at_once_here_and_soon_everywhere() -> None:
    a, b, c = members = await grown_cluster(3, calm(), wall)
    pin = some_pin(1, "one", metadata={"k": "v"})
    await a.pinset.put(pin)
    assert await a.pinset.get(pin.cid) == pin
    await agree(members)
    assert await b.pinset.get(pin.cid) == await c.pinset.get(pin.cid) == pin
    assert a.changes == b.changes == c.changes == [PinChange(pin.cid, pin, None, a.peer)]
    assert await c.pinset.remove(pin.cid) == pin
    await agree(members)
    assert await a.pinset.get(pin.cid) is None
    assert a.changes[-1][:2] == (pin.cid, None)
    assert a.changes[-1].before is not None
    assert a.changes[-1].author == c.peer
    await stopped(*members)


@virtual_time
async def test_a_lone_pin_waits_for_no_timer() -> None:
    (a,) = await grown_cluster(1, calm(), wall)
    before = asyncio.get_running_loop().time()
    await a.pinset.put(some_pin(1))
    assert asyncio.get_running_loop().time() == before
    await a.stop()


@virtual_time
async def test_what_is_written_together_is_one_batch_and_keeps_its_order() -> None:
    (a,) = await grown_cluster(1, calm(), wall)
    pin, again = some_pin(1, "first"), some_pin(1, "second")
    _, removed, _, refused = await asyncio.gather(
        a.pinset.put(pin),
        a.pinset.remove(pin.cid),
        a.pinset.put(again),
        a.pinset.remove(some_cid(2)),
        return_exceptions=True,
    )
    assert removed == pin
    assert isinstance(refused, NotPinned)
    assert await a.pinset.get(pin.cid) == again
    assert a.pinset.counts.written == 1
    await a.stop()


@virtual_time
async def test_many_are_written_as_one_batch_and_one_that_is_too_large_is_told_apart() -> None:
    a, b = members = await grown_cluster(2, calm(), wall)
    large = some_pin(2, metadata={"k": "v" * 20_000})
    too_large = await a.pinset.put_many([some_pin(1, "old"), large, some_pin(3), some_pin(1, "new")])
    assert [isinstance(one, BadPinOptions) for one in too_large] == [False, True, False, False]
    assert a.pinset.counts.written == 1
    gone = await a.pinset.remove_many([some_cid(1), some_cid(2), some_cid(1)])
    assert gone[0] == some_pin(1, "new")
    assert [isinstance(one, NotPinned) for one in gone] == [False, True, True]
    assert a.pinset.counts.written == 2
    await agree(members)
    assert set(await b.rows()) == {some_cid(3)}
    await stopped(*members)


@virtual_time
async def test_more_than_a_batch_holds_becomes_several() -> None:
    (a,) = await grown_cluster(1, calm(), wall)
    await a.stop()
    await a.start(batch_size=10)
    await asyncio.gather(*(a.pinset.put(some_pin(number)) for number in range(25)))
    assert a.pinset.counts.written == 3
    assert await a.pinset.count() == 25
    await a.stop()


@virtual_time
async def test_an_acknowledged_pin_survives_the_process_and_one_not_durable_is_not_acknowledged() -> None:
    (a,) = await grown_cluster(1, calm(), wall)
    await a.pinset.put(some_pin(1))
    a.database.failing = Crashed()
    with pytest.raises(Crashed):
        await a.pinset.put(some_pin(2))
    await a.kill()
    await a.start()
    assert set(await a.rows()) == {some_cid(1)}
    await a.stop()


@virtual_time
async def test_after_a_failed_write_the_next_one_is_whole_and_reaches_others() -> None:
    a, b = members = await grown_cluster(2, calm(), wall)
    await a.pinset.put(some_pin(1, "before"))
    a.database.failing = OSError("disk full")
    with pytest.raises(OSError, match="disk full"):
        await a.pinset.put(some_pin(1, "lost"))
    assert (await a.rows())[some_cid(1)].options.name == "before"
    a.database.failing = None
    await a.pinset.put(some_pin(1, "after"))
    await agree(members)
    assert (await b.rows())[some_cid(1)].options.name == "after"
    await stopped(*members)


@virtual_time
async def test_a_full_disk_at_a_reader_delays_replication_and_does_not_end_it() -> None:
    a, b = members = await grown_cluster(2, calm(), wall)
    b.database.failing = OSError("disk full")
    await a.pinset.put(some_pin(1))
    await asyncio.sleep(120)
    assert not await b.rows()
    b.database.failing = None
    await agree(members)
    assert await b.rows()
    await stopped(*members)


@virtual_time
async def test_a_pin_survives_an_unpin_that_did_not_know_of_it() -> None:
    network = calm()
    a, b = members = await grown_cluster(2, network, wall)
    await a.pinset.put(some_pin(1, "old"))
    await agree(members)
    network.part([a.peer], [b.peer])
    await a.pinset.remove(some_cid(1))
    await b.pinset.put(some_pin(1, "new"))
    network.part()
    await agree(members)
    assert (await a.rows())[some_cid(1)].options.name == "new"
    await stopped(*members)


@virtual_time
async def test_a_follower_reads_everything_and_writes_nothing() -> None:
    a, b = members = await grown_cluster(2, calm(), wall, role=Role.FOLLOWER)
    await a.pinset.put(some_pin(1))
    await agree(members)
    assert set(await b.rows()) == {some_cid(1)}
    for write in (b.pinset.put(some_pin(2)), b.pinset.remove(some_cid(1))):
        with pytest.raises(ReadOnlyMember):
            await write
    with pytest.raises(ReadOnlyMember):
        await b.pinset.invite(bytes(32))
    forger = Forger(a, 1)
    await forger.publish(forger.batch((document_of(a), forger.update())))
    assert a.pinset.counts.untrusted == 1
    await stopped(*members)


@virtual_time
async def test_a_pin_too_large_to_replicate_is_refused_before_anything_is_written() -> None:
    (a,) = await grown_cluster(1, calm(), wall)
    with pytest.raises(BadPinOptions, match="above the limit"):
        await a.pinset.put(some_pin(1, metadata={"k": "v" * 20_000}))
    assert a.pinset.counts.written == 0
    await a.stop()


@virtual_time
async def test_a_clock_a_day_off_is_reported_by_both_sides_and_loses_no_pin(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = calm()
    a, b = members = await grown_cluster(2, network, wall)
    await b.stop()
    b.clock = lambda: wall() + 86_400
    await b.start()
    await b.pinset.put(some_pin(1, "from tomorrow"))
    await agree(members)
    await a.pinset.put(some_pin(1, "from today"))
    await agree(members)
    assert {pin.options.name for pin in (await b.rows()).values()} == {"from today"}
    await asyncio.sleep(120)
    assert round(a.pinset.clock_skews()[b.peer]) == 86_400
    assert round(b.pinset.clock_skews()[a.peer]) == -86_400
    assert "24.0 hours ahead of ours: set both by NTP" in caplog.text
    await b.stop()
    b.clock = wall
    await b.start()
    assert "this node's clock stands 24.0 hours before what it last wrote" in caplog.text
    await b.pinset.put(some_pin(2))
    await agree(members)
    assert set(await a.rows()) == {some_cid(1), some_cid(2)}
    await stopped(*members)
