"""A member that is new, or was away while logs were cut, starts from the documents of a trusted one."""

from __future__ import annotations

import asyncio

from support.clock import virtual_time
from support.cluster_network import SimNetwork
from support.pinset_forger import calm, stopped, wall
from support.pinset_member import SECRET, PinsetMember, agree, grown_cluster, some_cid, some_pin

from cluster.interfaces import Role
from cluster.pinset.tables.store import PinsetStore
from cluster.ports import CallFailed
from cluster.replication.snapshot_limits import SnapshotLimits


async def cut(*members: PinsetMember, keep: int = 0) -> None:
    """All but the last batches are gone from those members' logs."""
    for member in members:
        await member.database.write(
            lambda db: db.execute(
                "DELETE FROM batches WHERE arrival <= (SELECT max(arrival) - ? FROM logs)", (keep,)
            ).close()
        )


async def kept(member: PinsetMember) -> int:
    """How many batches its log holds."""
    return len(await PinsetStore(member.database).batches_after(0, 1 << 24))


async def pin_many(member: PinsetMember, numbers: range, name: str = "") -> None:
    for number in numbers:
        await member.pinset.put(some_pin(number, name))


@virtual_time
async def test_who_was_away_while_the_log_was_cut_takes_documents_and_goes_on_with_the_log() -> None:
    a, b, c = members = await grown_cluster(3, calm(), wall, bits=5)
    await pin_many(c, range(5), "of c")
    await agree(members)
    await c.stop()
    await pin_many(a, range(3, 60))
    await b.pinset.remove(some_cid(1))
    await agree([a, b])
    await cut(a, b)
    await pin_many(b, range(60, 70))
    await c.start()
    await agree(members)
    assert await c.rows() == await a.rows()
    assert (some_cid(1), None) in [one[:2] for one in c.changes]
    await c.pinset.put(some_pin(99))
    await agree(members)
    assert len(await a.rows()) == 70
    for member in members:
        assert member.pinset.counts.refused == member.pinset.counts.repaired == 0
    await stopped(*members)


@virtual_time
async def test_a_new_member_of_a_cluster_that_has_written_much_starts_from_documents() -> None:
    network = calm()
    a, b = members = await grown_cluster(2, network, wall, bits=5)
    await pin_many(a, range(30))
    await agree(members)
    newcomer = PinsetMember(7, a.genesis, network, wall, snapshots=SnapshotLimits(min_batches=20))
    await newcomer.start(await a.pinset.invite(SECRET, Role.FOLLOWER))
    await agree([*members, newcomer])
    assert await newcomer.rows() == await a.rows()
    assert await kept(newcomer) == 0, "no batch of the past came"
    assert len(newcomer.changes) == 30
    await pin_many(b, range(20, 40))
    await agree([*members, newcomer])
    assert await kept(newcomer) == 20
    await stopped(*members, newcomer)


@virtual_time
async def test_a_cluster_that_has_written_little_is_joined_by_its_log() -> None:
    network = calm()
    (a,) = await grown_cluster(1, network, wall)
    await pin_many(a, range(10))
    newcomer = PinsetMember(7, a.genesis, network, wall)
    await newcomer.start(await a.pinset.invite(SECRET))
    await agree([a, newcomer])
    assert await kept(newcomer) == 10
    await stopped(a, newcomer)


@virtual_time
async def test_who_cannot_give_documents_is_passed_over_and_its_log_is_pulled() -> None:
    """A donor of an earlier release does not know the call."""
    network = calm()
    (a,) = await grown_cluster(1, network, wall)
    await pin_many(a, range(10))

    async def unknown(_peer: str, _request: bytes) -> bytes:
        raise CallFailed("pinset/snapshot is not served here")

    network.peers[a.peer].methods.replace("pinset/snapshot", unknown)
    newcomer = PinsetMember(7, a.genesis, network, wall, snapshots=SnapshotLimits(min_batches=5))
    await newcomer.start(await a.pinset.invite(SECRET))
    await agree([a, newcomer])
    assert await kept(newcomer) == 10
    await stopped(a, newcomer)


@virtual_time
async def test_documents_are_taken_of_trusted_members_only() -> None:
    network = calm()
    a, b, c = members = await grown_cluster(3, network, wall, role=Role.FOLLOWER)
    await c.stop()
    await pin_many(a, range(10))
    await agree([a, b])
    await cut(a, b)
    await a.stop()
    await c.start()
    await asyncio.sleep(300)
    assert not await c.rows()
    await a.start()
    await agree(members)
    assert len(await c.rows()) == 10
    await stopped(*members)


@virtual_time
async def test_who_has_the_log_still_is_asked_before_anybody_gives_documents() -> None:
    a, b, c = members = await grown_cluster(3, calm(), wall)
    await c.stop()
    await pin_many(a, range(10))
    await agree([a, b])
    await cut(a)
    await c.start()
    await agree(members)
    assert await kept(c) == 10
    await stopped(*members)


class SlowPages:
    """A donor whose pages take a second each; `asked` is set by each, `count` says how many there were."""

    def __init__(self, network: SimNetwork, donor: PinsetMember) -> None:
        self._methods = network.peers[donor.peer].methods
        self._answer = self._methods.handler("pinset/snapshot")
        self._methods.replace("pinset/snapshot", self._give)
        self.asked = asyncio.Event()
        self.count = 0

    async def _give(self, peer: str, request: bytes) -> bytes:
        self.count += 1
        self.asked.set()
        await asyncio.sleep(1)
        return await self._answer(peer, request)

    async def under_way(self, pages: int) -> None:
        """Until so many were asked for."""
        while self.count < pages:
            self.asked.clear()
            await self.asked.wait()


async def left_behind(network: SimNetwork, pins: int = 100) -> list[PinsetMember]:
    """Members whose log is cut, but for the last, which has stopped before any of these pins was made."""
    members = await grown_cluster(
        3, network, wall, bits=10, snapshots=SnapshotLimits(page_bytes=1000, group=3)
    )
    a, b, c = members
    await c.pinset.put(some_pin(7000, "of c"))
    await agree(members)
    await c.stop()
    await pin_many(a, range(pins))
    await agree([a, b])
    await cut(a, b)
    return members


@virtual_time
async def test_pins_are_read_and_written_while_documents_come_and_donors_write_on() -> None:
    network = calm()
    a, b, c = members = await left_behind(network)
    await b.stop()
    pages = SlowPages(network, a)
    await c.start()
    await pages.under_way(4)
    listed = await c.rows()
    assert 1 < len(listed) < 100
    assert 0 < (c.pinset.snapshot_progress or 0) < 1
    seen = next(cid for cid in listed if cid != some_cid(7000))
    for number in (1000, 3):
        await c.pinset.put(some_pin(number, "of c"))
    await c.pinset.remove(seen)
    await a.pinset.remove(some_cid(5))
    await a.pinset.put(some_pin(2000))
    await b.start()
    await agree(members)
    assert c.pinset.snapshot_progress is None
    rows = await a.rows()
    assert rows == await c.rows()
    assert not {some_cid(5), seen} & rows.keys()
    assert {some_cid(1000), some_cid(2000), some_cid(7000)} <= rows.keys()
    assert rows[some_cid(3)].options.name == "of c"
    assert all(member.pinset.counts.refused == 0 for member in members)
    await stopped(*members)


@virtual_time
async def test_a_snapshot_goes_on_where_it_stopped_after_a_kill() -> None:
    network = calm()
    a, b, c = members = await left_behind(network)
    await b.stop()
    pages = SlowPages(network, a)
    await c.start()
    await pages.under_way(6)
    await c.kill()
    done, whole = pages.count, len(c.changes)
    await c.start()
    await agree([a, c])
    assert len(c.changes) - whole < 100 - whole + 20, "what was there was not taken again"
    assert pages.count - done < 15
    assert await c.rows() == await a.rows()
    await b.start()
    await agree(members)
    await stopped(*members)


@virtual_time
async def test_another_donor_goes_on_where_one_has_vanished_though_it_has_less() -> None:
    """The log of what that one lacked is pulled when the first is back."""
    network = calm()
    a, b, c = members = await left_behind(network)
    network.part([a.peer], [b.peer])
    await pin_many(a, range(100, 110))
    network.part([a.peer, c.peer], [b.peer])
    pages = SlowPages(network, a)
    await c.start()
    await pages.under_way(6)
    await a.stop()
    network.part()
    await asyncio.sleep(60)
    assert c.pinset.snapshot_progress is None
    assert len(await c.rows()) >= 101
    await a.start()
    await agree(members)
    assert len(await c.rows()) == 111
    assert all(member.pinset.counts.refused == 0 for member in members)
    await stopped(*members)


@virtual_time
async def test_a_donor_that_is_started_again_gives_the_rest() -> None:
    network = calm()
    a, b, c = members = await left_behind(network)
    await b.stop()
    pages = SlowPages(network, a)
    await c.start()
    await pages.under_way(4)
    await a.stop()
    await a.start()
    await agree([a, c])
    assert await c.rows() == await a.rows()
    await stopped(*members)


@virtual_time
async def test_a_full_disk_stops_a_snapshot_which_goes_on_when_there_is_room() -> None:
    network = calm()
    a, b, c = members = await left_behind(network)
    pages = SlowPages(network, a)
    await b.stop()
    await c.start()
    await pages.under_way(3)
    c.database.failing = OSError("disk full")
    await asyncio.sleep(300)
    c.database.failing = None
    await agree([a, c])
    await stopped(*members)
