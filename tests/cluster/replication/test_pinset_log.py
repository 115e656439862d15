"""How far each member is behind each author, and catching up on demand."""

from __future__ import annotations

from support.clock import virtual_time
from support.pinset_forger import calm, stopped, wall
from support.pinset_member import agree, grown_cluster, some_pin


@virtual_time
async def test_each_members_lag_is_told_by_author_with_the_time_of_the_newest_batch() -> None:
    network = calm()
    members = a, b, c = await grown_cluster(3, network, wall)
    await a.pinset.put(some_pin(1))
    await agree(members)
    for other in (b, c):
        await a.pinset.sync(other.peer)
    us, *others = await a.pinset.log.lags()
    assert (us.peer, us.behind) == (a.peer, ())
    assert {one.peer for one in others} == {b.peer, c.peer}
    assert all(one.seen is not None and not one.behind for one in others)
    await c.stop()
    await a.pinset.put(some_pin(2))
    await a.pinset.put(some_pin(3))
    await b.pinset.put(some_pin(4))
    await agree([a, b])
    await a.pinset.sync(b.peer)
    lags = {lag.peer: lag for lag in await a.pinset.log.lags()}
    assert lags[b.peer].behind == ()
    behind = {one.author: one for one in lags[c.peer].behind}
    assert {author: one.batches for author, one in behind.items()} == {a.peer: 2, b.peer: 1}
    written = behind[a.peer].written
    assert written is not None
    assert abs(written - wall()) < 60
    await stopped(a, b)


@virtual_time
async def test_what_this_node_lacks_itself_shows_once_another_has_told_of_it() -> None:
    network = calm()
    members = a, b = await grown_cluster(2, network, wall)
    network.part([a.peer], [b.peer])
    await b.pinset.put(some_pin(1))
    network.part()
    caught_up = [one async for one in a.pinset.log.catch_up()]
    assert [(one.peer, one.error) for one in caught_up] == [(b.peer, "")]
    assert await a.pinset.count() == 1
    network.loss = 1.0
    (failed,) = [one async for one in a.pinset.log.catch_up()]
    assert "does not answer" in failed.error
    assert a.pinset.log.catch_up_soon() == 1
    await stopped(*members)


@virtual_time
async def test_a_member_that_has_not_answered_yet_is_not_said_to_have_all() -> None:
    members = a, b = await grown_cluster(2, calm(), wall)
    await b.stop()
    await a.kill()
    await a.start()
    assert [(lag.peer, lag.seen) for lag in (await a.pinset.log.lags())[1:]] == [(b.peer, None)]
    await stopped(*members)
