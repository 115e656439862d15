"""Pins written at one member reach the others, durable before they are acknowledged; nothing forged does."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from support.clock import virtual_time
from support.cluster_network import SimNetwork
from support.inline_database import Crashed
from support.pinset_member import PinsetMember, agree, grown_cluster, identity, some_cid, some_pin

from cluster.common import wire
from cluster.common.pin_codec import encode_pin
from cluster.errors import BadPinOptions, NotPinned, ReadOnlyMember
from cluster.interfaces import PinChange, Role
from cluster.pinset.batch import AuthorLog, Batch, OpenedBatch, sign
from cluster.pinset.document import Document
from cluster.pinset.store import PinsetStore
from cluster.pinset.yjs_update import entry_key
from cluster.ports import CallFailed, GossipMessage, PeerOffline
from cluster.replication.gossip_message import topic_of


def calm(delay: float = 0.01) -> SimNetwork:
    return SimNetwork(Random(1), delay=delay)


def wall() -> float:
    return 1e9 + asyncio.get_running_loop().time()


async def stopped(*members: PinsetMember) -> None:
    for member in members:
        if member.alive:
            await member.stop()


@virtual_time
async def test_a_pin_is_readable_at_once_here_and_soon_everywhere() -> None:
    a, b, c = members = await grown_cluster(3, calm(), wall)
    pin = some_pin(1, "one", metadata={"k": "v"})
    await a.pinset.put(pin)
    assert await a.pinset.get(pin.cid) == pin
    await agree(members)
    assert await b.pinset.get(pin.cid) == await c.pinset.get(pin.cid) == pin
    assert a.changes == b.changes == c.changes == [PinChange(pin.cid, pin)]
    assert await c.pinset.remove(pin.cid) == pin
    await agree(members)
    assert await a.pinset.get(pin.cid) is None
    assert a.changes[-1] == PinChange(pin.cid, None)
    await stopped(*members)


@virtual_time
async def test_a_lone_pin_waits_no_longer_than_the_batch_age() -> None:
    (a,) = await grown_cluster(1, calm(), wall)
    before = asyncio.get_running_loop().time()
    await a.pinset.put(some_pin(1))
    assert asyncio.get_running_loop().time() - before <= 0.021
    await a.stop()


@virtual_time
async def test_what_is_written_together_is_one_batch_and_keeps_its_order() -> None:
    (a,) = await grown_cluster(1, calm(), wall)
    pin, again = some_pin(1, "first"), some_pin(1, "second")
    results = await asyncio.gather(
        a.pinset.put(pin),
        a.pinset.remove(pin.cid),
        a.pinset.put(again),
        a.pinset.remove(some_cid(2)),
        return_exceptions=True,
    )
    assert results[:3] == [None, pin, None]
    assert isinstance(results[3], NotPinned)
    assert await a.pinset.get(pin.cid) == again
    assert a.pinset.counts.written == 1
    await a.stop()


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
async def test_a_member_that_was_away_catches_up_from_any_other_though_the_author_is_gone() -> None:
    network = calm()
    a, b, c = await grown_cluster(3, network, wall)
    await c.stop()
    for number in range(50):
        await a.pinset.put(some_pin(number))
    await agree([a, b])
    await a.stop()
    await c.start()
    await agree([b, c])
    assert len(await c.rows()) == 50
    await stopped(b, c)


@virtual_time
async def test_batches_too_large_to_gossip_are_announced_and_pulled() -> None:
    network = calm()
    a, b = members = await grown_cluster(2, network, wall)
    before = network.carried
    pins = [some_pin(number, metadata={"k": "v" * 8000}) for number in range(200)]
    await asyncio.gather(*(a.pinset.put(pin) for pin in pins))
    await agree(members, within=5.0)
    assert await b.pinset.count() == 200
    assert network.carried - before < 200_000, "of 1.6 MB, only what fits is gossiped whole"
    await stopped(*members)


@virtual_time
async def test_without_any_gossip_members_still_agree() -> None:
    network = calm()
    members = await grown_cluster(3, network, wall)
    network.silent = True
    for number, member in enumerate(members):
        await member.pinset.put(some_pin(number))
    await agree(members)
    assert len(await members[0].rows()) == 3
    await stopped(*members)


@virtual_time
async def test_a_restored_backup_gets_a_new_client_id_and_its_lost_writing_back() -> None:
    a, b = members = await grown_cluster(2, calm(), wall)
    await a.pinset.put(some_pin(1))
    backup = len(a.database.images) - 1
    await a.pinset.put(some_pin(2))
    await a.pinset.remove(some_cid(1))
    await agree(members)
    await a.kill(backup)
    await a.start()
    await a.pinset.put(some_pin(3))
    await agree(members)
    assert set(await a.rows()) == set(await b.rows()) == {some_cid(2), some_cid(3)}
    assert len({log.client for log in await logs_of(a, at=b)}) == 2
    await stopped(*members)


@virtual_time
async def test_a_process_brought_back_with_its_memory_notices_before_it_writes() -> None:
    """A virtual machine rolled back: not even the epoch is new."""
    a, b = members = await grown_cluster(2, calm(), wall)
    await a.pinset.put(some_pin(1))
    await agree(members)
    (log,) = await logs_of(a, at=b)
    number = a.genesis.document_of(some_cid(1))
    document = Document(log.client, [(await PinsetStore(b.database).documents([number]))[0].updates[0]])
    update, _ = document.write(
        {some_cid(1): encode_pin(some_pin(1, "from the lost future")).stamped(1 << 60)}
    )
    future = sign(Batch(log, 2, 1 << 60, ((number, update),)), a.genesis.cluster_id, a.signer)
    await gossiped(future.envelope, a.peer, to=b)
    await a.pinset.sync(b.peer)
    await a.pinset.put(some_pin(2))
    assert len(await logs_of(a, at=a)) == 2
    await agree(members)
    assert {pin.options.name for pin in (await a.rows()).values()} == {"from the lost future", ""}
    await stopped(*members)


@virtual_time
async def test_two_nodes_with_one_key_lose_nothing_of_each_other() -> None:
    """A copied data folder: not allowed, and yet no pin may go."""
    a, b = await grown_cluster(2, calm(), wall)
    twin = PinsetMember(0, a.genesis, SimNetwork(Random(2)), wall)
    await a.pinset.put(some_pin(1))
    await agree([a, b])
    await a.stop()
    await twin.start()
    await twin.pinset.put(some_pin(2))
    envelopes = [envelope for _, envelope in await PinsetStore(twin.database).batches_after(0, 1 << 20)]
    await twin.stop()
    await a.start()
    await a.pinset.put(some_pin(3))
    for envelope in envelopes:
        await gossiped(envelope, a.peer, to=b)
    await agree([a, b])
    assert set(await b.rows()) == {some_cid(number) for number in (1, 2, 3)}
    await stopped(a, b)


async def logs_of(author: PinsetMember, at: PinsetMember) -> set[AuthorLog]:
    """What that author has written in, as another member keeps it."""
    heads = await PinsetStore(at.database).heads(0, 100)
    return {head.log for head in heads if head.log.author == author.peer}


async def gossiped(envelope: bytes, author: str, to: PinsetMember) -> None:
    await heard(b"\x01" + envelope, author, to)


async def heard(message: bytes, author: str, to: PinsetMember, forwarder: str = "") -> None:
    """A gossip message as the network delivers it, handled."""
    topics = to.network.peers[to.peer].topics
    topics.deliver(topic_of(to.genesis), GossipMessage(author, forwarder or author, message))
    await topics.handled()


@virtual_time
async def test_what_a_message_shows_to_be_missing_is_asked_of_the_peer_that_handed_it_on() -> None:
    network = calm()
    a, b, c = members = await grown_cluster(3, network, wall)
    network.silent = True
    for number in range(2):
        await a.pinset.put(some_pin(number))
    await c.pinset.sync(a.peer)
    *_, (_, later) = await PinsetStore(a.database).batches_after(0, 1 << 20)
    await a.stop()
    await heard(b"\x01" + later, a.peer, to=b, forwarder=c.peer)
    await agree([b, c], within=2.0)
    assert set(await b.rows()) == {some_cid(0), some_cid(1)}
    await stopped(*members)


class Forger:
    """A member's honest tools in the wrong hands."""

    def __init__(self, victim: PinsetMember, number: int) -> None:
        self.victim = victim
        self.signer = identity(number)
        self.log = AuthorLog(self.signer.peer_id, 1)

    def update(self, client: int | None = None, cid: int = 1, value: bytes | None = None) -> bytes:
        wanted = encode_pin(some_pin(cid, "forged")).stamped(1) if value is None else value
        return Document(client or self.log.client).write({some_cid(cid): wanted})[0]

    def batch(self, *updates: tuple[int, bytes], sequence: int = 1) -> bytes:
        batch = Batch(self.log, sequence, 1, updates)
        return sign(batch, self.victim.genesis.cluster_id, self.signer).envelope

    async def publish(self, envelope: bytes) -> None:
        await gossiped(envelope, self.signer.peer_id, to=self.victim)


def document_of(member: PinsetMember, number: int = 1) -> int:
    return member.genesis.document_of(some_cid(number))


@virtual_time
async def test_a_stranger_cannot_pin() -> None:
    (a,) = await grown_cluster(1, calm(), wall)
    forger = Forger(a, 66)
    await forger.publish(forger.batch((document_of(a), forger.update())))
    assert not await a.rows()
    assert a.pinset.counts.untrusted == 1
    await a.stop()


@virtual_time
async def test_a_batch_signed_by_another_than_its_author_is_refused() -> None:
    a, b = members = await grown_cluster(2, calm(), wall)
    forger = Forger(a, 66)
    forger.log = AuthorLog(b.peer, 1)
    await forger.publish(forger.batch((document_of(a), forger.update())))
    assert not await a.rows()
    assert a.pinset.counts.refused == 1
    await stopped(*members)


@virtual_time
async def test_a_member_cannot_write_in_anothers_name_nor_what_breaks_the_rules() -> None:
    a, b = members = await grown_cluster(2, calm(), wall)
    await a.pinset.put(some_pin(1, "honest"))
    forger, here = Forger(a, 1), document_of(a)
    assert forger.signer.peer_id == b.peer
    (victim,) = await logs_of(a, at=a)
    other = next(number for number in range(8) if number != here)
    key = entry_key(some_cid(1), forger.log.client).encode()
    nested = b"\x01\x01\x4d\x00\x28\x01\x04pins" + bytes([len(key)]) + key + b"\x01" + b"\x75\x01" * 30_000
    for updates in (
        [(here, forger.update(client=victim.client))],  # another author's client id
        [(other, forger.update())],  # a document where this CID does not belong
        [(1 << 20, forger.update())],  # a document that does not exist
        [(here, forger.update(value=b"\xff"))],  # no pin
        [(here, nested + b"\x7e\x00")],
        [(here, b"\xff" * 100)],
        [(here, b"")],
    ):
        before = a.pinset.counts.refused
        await forger.publish(forger.batch(*updates))
        assert a.pinset.counts.refused == before + 1, updates
    assert [pin.options.name for pin in (await a.rows()).values()] == ["honest"]
    await forger.publish(forger.batch((here, forger.update())))
    assert a.pinset.counts.applied == 1, "an honest batch of that log is still taken"
    await stopped(*members)


@virtual_time
async def test_gossip_that_is_no_message_is_counted_and_dropped() -> None:
    (a,) = await grown_cluster(1, calm(), wall)
    honest = Forger(a, 0).batch((document_of(a), Forger(a, 0).update()))
    garbage = [
        b"",
        b"\x09x",
        b"\x01",
        b"\x02\x80",
        b"\x03\xff",
        b"\x01" + honest[:-1],
        b"\x01" + bytes(2_000_000),
    ]
    for message in garbage:
        await heard(message, "a peer", to=a)
    assert a.pinset.counts.refused == len(garbage)
    await a.stop()


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
async def test_a_stranger_on_the_network_is_told_nothing() -> None:
    network = calm()
    (a,) = await grown_cluster(1, network, wall)
    stranger = network.attach(identity(66).peer_id)
    for method in ("pinset/heads", "pinset/batches", "pinset/members", "pinset/digests"):
        with pytest.raises(CallFailed, match=r"not (a member|one)"):
            await stranger.call(a.peer, method, wire.encode({"records": [], "wants": [], "since": 0}))
    await a.stop()


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


@virtual_time
async def test_a_damaged_document_is_made_again_from_the_signed_log() -> None:
    a, b = members = await grown_cluster(2, calm(), wall)
    pins = [some_pin(number) for number in range(20)]
    await asyncio.gather(*(a.pinset.put(pin) for pin in pins))
    await agree(members)
    whole = await b.rows()
    await b.stop()
    number = document_of(b)
    await b.database.write(lambda db: db.execute("DELETE FROM updates WHERE document = ?", (number,)).close())
    await b.database.write(
        lambda db: db.execute("DELETE FROM pins WHERE cid = ?", (bytes(some_cid(1)),)).close()
    )
    await b.database.write(
        lambda db: db.execute("UPDATE documents SET digest1 = 1 WHERE number = ?", (number,)).close()
    )
    await b.start()
    assert await b.rows() != whole
    async with asyncio.timeout(60):
        while await b.rows() != whole:  # noqa: ASYNC110 - the repair tells nobody
            await asyncio.sleep(1)
    assert b.pinset.counts.repaired == 1
    assert not await a.pinset.repair(b.peer)
    await agree(members, within=1)
    await stopped(*members)


def test_a_batch_reads_back_as_it_was_signed() -> None:
    signer = identity(1)
    batch = Batch(AuthorLog(signer.peer_id, 7), 3, 99, ((1, b"x"), (5, b"y")))
    assert OpenedBatch.read(sign(batch, bytes(32), signer).envelope).batch == batch


@pytest.mark.parametrize("seconds", [0.1, 14.0])
@virtual_time
async def test_a_member_whose_heads_never_end_keeps_nobody_from_catching_up_with_the_others(
    seconds: float,
) -> None:
    network = calm()
    a, b, c = await grown_cluster(3, network, wall)
    calls = 0

    async def endless(_peer: str, _request: bytes) -> bytes:
        nonlocal calls
        calls += 1
        await asyncio.sleep(seconds)
        digests = {"heads": b"h", "members": a.pinset.members.digest()}
        return wire.encode({"store": b"s", "until": calls, "more": 1, "logs": [], "now": wall(), **digests})

    for member in (a, c):
        await member.stop()
    await b.pinset.put(some_pin(1))
    await c.start()
    await agree([b, c])
    network.peers[c.peer].methods.replace("pinset/heads", endless)
    await a.start()
    with pytest.raises(PeerOffline, match="nothing new for 45 s"):
        await a.pinset.sync(c.peer)
    await agree([a, b], within=120)
    await stopped(a, b, c)
