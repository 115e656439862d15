"""What gossip lost, or never carried, is pulled from any member that has it."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from support.clock import virtual_time
from support.cluster_network import SimNetwork
from support.pinset_forger import calm, gossiped, heard, logs_of, stopped, wall
from support.pinset_member import PinsetMember, agree, grown_cluster, identity, some_cid, some_pin

from cluster.common import wire
from cluster.common.pin_codec import encode_pin
from cluster.pinset.documents.document import Document
from cluster.pinset.log.batch import Batch, sign
from cluster.pinset.tables.store import PinsetStore
from cluster.ports import CallFailed, PeerOffline
from cluster.replication.gossip_message import MAX_GOSSIP_BYTES
from cluster.replication.heads import decode_logs


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
async def test_what_is_too_large_to_gossip_at_once_is_cut_into_batches_that_are() -> None:
    a, b = members = await grown_cluster(2, calm(), wall)
    pins = [some_pin(number, metadata={"k": "v" * 8000}) for number in range(200)]
    await asyncio.gather(*(a.pinset.put(pin) for pin in pins))
    await agree(members, within=3.0)
    assert await b.pinset.count() == 200
    assert all(len(envelope) <= MAX_GOSSIP_BYTES for envelope in await a.envelopes())
    await stopped(*members)


@virtual_time
async def test_a_batch_that_is_only_announced_is_pulled_at_once() -> None:
    network = calm()
    a, b = members = await grown_cluster(2, network, wall)
    network.silent = True
    await a.pinset.put(some_pin(1))
    (log,) = await logs_of(a, at=a)
    announced = b"\x02" + wire.encode({"author": log.author, "epoch": log.epoch, "seq": 1})
    await heard(announced, a.peer, to=b)
    await agree(members, within=1.5)
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


@virtual_time
async def test_a_stranger_on_the_network_is_told_nothing() -> None:
    network = calm()
    (a,) = await grown_cluster(1, network, wall)
    stranger = network.attach(identity(66).peer_id)
    for method in ("pinset/heads", "pinset/batches", "pinset/members", "pinset/sums"):
        with pytest.raises(CallFailed, match=r"not (a member|one)"):
            await stranger.call(a.peer, method, wire.encode({"records": [], "wants": [], "since": 0}))
    await a.stop()


@pytest.mark.parametrize("seconds", [0.1, 14.0])
@virtual_time
async def test_a_member_whose_heads_never_end_keeps_none_from_catching_up_with_the_others(
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


@virtual_time
async def test_a_member_that_answers_nothing_delays_none_of_the_others() -> None:
    """As a process that is stopped: its connection is up, and calls to it hang."""
    network = calm()
    a, b, c = await grown_cluster(3, network, wall)

    async def hang(_peer: str, _request: bytes) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    await c.stop()
    await b.pinset.put(some_pin(1))
    await agree([a, b])
    await c.start()
    for method in ("pinset/heads", "pinset/batches"):
        await c.stop()
        await b.pinset.put(some_pin(len(await b.rows()) + 1))
        await agree([a, b])
        network.peers[a.peer].methods.replace(method, hang)
        await c.start()
        await agree([b, c], within=4.0)
        await a.stop()
        await a.start()
    await stopped(a, b, c)


@virtual_time
async def test_what_no_message_told_is_everywhere_after_seconds() -> None:
    network = calm()
    members = await grown_cluster(6, network, wall)
    network.silent = True
    await members[3].pinset.put(some_pin(1))
    await agree(members, within=5.0)
    await stopped(*members)


@virtual_time
async def test_members_that_catch_up_with_several_ask_one_of_them_for_the_batches() -> None:
    network = calm()
    a, b, c = await grown_cluster(3, network, wall)
    await c.stop()
    pins = [some_pin(number, metadata={"k": "v" * 8000}) for number in range(300)]
    await asyncio.gather(*(a.pinset.put(pin) for pin in pins))
    await agree([a, b])
    given = 0
    for member in (a, b):
        serve = network.peers[member.peer].methods

        async def counting(peer: str, request: bytes, member: PinsetMember = member) -> bytes:
            nonlocal given
            store = PinsetStore(member.database)
            wants = decode_logs(wire.Fields.decode(request, 1 << 20), "wants", 256)
            answer = wire.encode({"batches": [*await store.batches(wants, 1 << 20)]})
            given += len(answer)
            return answer

        serve.replace("pinset/batches", counting)
    await c.start()
    await agree([a, b, c], within=5.0)
    assert given < 1.2 * 300 * 8300
    await stopped(a, b, c)
