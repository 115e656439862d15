"""Only what trusted members signed, and what keeps the rules, is applied."""

from __future__ import annotations

import asyncio
import sqlite3

from support.clock import virtual_time
from support.pinset_forger import Forger, calm, document_of, heard, logs_of, stopped, wall
from support.pinset_member import grown_cluster, some_cid, some_pin

from cluster.pinset.documents.yjs_update import entry_key
from cluster.pinset.log.batch import AuthorLog, OpenedBatch


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
async def test_a_log_that_is_refused_is_asked_for_ever_more_seldom_and_no_other_waits_for_it() -> None:
    a, b = members = await grown_cluster(2, calm(), wall)
    forger = Forger(a, 1)
    bad = OpenedBatch.read(forger.batch((document_of(a), forger.update(value=b"\xff"))))
    await b.stop()
    await b.database.write(_keep, bad)
    await b.start()
    await asyncio.sleep(300)
    assert 3 <= a.pinset.counts.refused <= 6, "after 10, 20, 40 … seconds, and not every two"
    await b.pinset.put(some_pin(2, "honest"))
    await asyncio.sleep(5)
    assert [pin.options.name for pin in (await a.rows()).values()] == ["honest"]
    assert forger.log not in await logs_of(b, at=a)
    await stopped(*members)


def _keep(db: sqlite3.Connection, bad: OpenedBatch) -> None:
    """As a member of another release would have it, to which it says something."""
    batch = bad.batch
    (last,) = db.execute("SELECT coalesce(max(arrival), 0) FROM logs").fetchone()
    head = (batch.log.author, batch.log.epoch, batch.sequence, last + 1, bad.hash)
    log = db.execute(
        "INSERT INTO logs (author, epoch, sequence, arrival, hash) VALUES (?, ?, ?, ?, ?)", head
    ).lastrowid
    db.execute("INSERT INTO batches VALUES (?, ?, ?, ?)", (last + 1, log, batch.sequence, bad.envelope))
