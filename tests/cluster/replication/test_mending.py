"""Documents that are damaged on disk are made again: from a trusted member, or from what else is there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.clock import virtual_time
from support.inline_database import TABLES
from support.pinset_forger import calm, document_of, logs_of, stopped, wall
from support.pinset_member import (
    SECRET,
    PinsetMember,
    agree,
    grown_cluster,
    identity,
    some_cid,
    some_genesis,
    some_pin,
)

from blockstore.sqlite.database import open_database
from cluster.errors import DamagedDocument
from cluster.interfaces import Role
from cluster.pinset.documents.document import Document
from cluster.pinset.documents.document_digest import halves
from cluster.pinset.tables.schema import PRAGMAS
from cluster.pinset.tables.store import PinsetStore
from cluster.replication.open_pinset import open_pinset

ROT = b"\xff" * 40


async def sql(member: PinsetMember, statement: str, arguments: Sequence[object] = ()) -> None:
    await member.database.write(lambda db: db.execute(statement, arguments).close())


async def rot(member: PinsetMember, number: int) -> None:
    """What is stored of that document is no update any more."""
    await sql(member, "UPDATE updates SET data = ? WHERE document = ?", (ROT, number))
    await sql(member, "UPDATE documents SET snapshot = ? WHERE number = ?", (ROT, number))


async def cut(*members: PinsetMember) -> None:
    for member in members:
        await sql(member, "DELETE FROM batches")


async def pinned(member: PinsetMember, numbers: range) -> None:
    await asyncio.gather(*(member.pinset.put(some_pin(number)) for number in numbers))


async def mended(member: PinsetMember, documents: int = 1) -> None:
    async with asyncio.timeout(1500):
        while member.pinset.counts.repaired < documents:  # noqa: ASYNC110 - a repair has no event
            await asyncio.sleep(1)


@virtual_time
async def test_a_document_that_cannot_be_read_is_named_and_made_again_from_a_trusted_member() -> None:
    a, b = members = await grown_cluster(2, calm(), wall)
    await pinned(a, range(20))
    await agree(members)
    await cut(a, b)
    await b.stop()
    await rot(b, document_of(b))
    await a.stop()
    await b.start()
    with pytest.raises(DamagedDocument, match=f"document {document_of(b)} of the pinset cannot be read"):
        await b.pinset.put(some_pin(1, "again"))
    assert len(await b.rows()) == 20, "what is listed is read from rows"
    await a.start()
    await mended(b)
    await b.pinset.put(some_pin(1, "again"))
    await agree(members)
    assert (await a.rows())[some_cid(1)].options.name == "again"
    await stopped(*members)


@virtual_time
async def test_batches_that_touch_a_damaged_document_come_once_it_is_made_again() -> None:
    a, b = members = await grown_cluster(2, calm(), wall)
    await pinned(a, range(20))
    await agree(members)
    await b.stop()
    await rot(b, document_of(b))
    await a.pinset.remove(some_cid(1))
    await b.start()
    await agree(members)
    assert some_cid(1) not in await b.rows()
    assert b.pinset.counts.refused == 0
    await stopped(*members)


@virtual_time
async def test_what_only_the_damaged_member_had_written_is_still_there() -> None:
    network = calm()
    a, b = members = await grown_cluster(2, network, wall)
    await pinned(a, range(20))
    await agree(members)
    await cut(a, b)
    network.part([a.peer], [b.peer])
    await b.pinset.put(some_pin(1, "of b alone"))
    await b.stop()
    await rot(b, document_of(b))
    await b.start()
    with pytest.raises(DamagedDocument):
        await b.pinset.put(some_pin(1, "lost"))
    network.part()
    await agree(members)
    assert (await a.rows())[some_cid(1)].options.name == "of b alone"
    await stopped(*members)


@pytest.mark.parametrize("noticed", [True, False])
@virtual_time
async def test_a_document_that_lost_a_part_is_completed_though_the_log_is_cut(noticed: bool) -> None:
    a, b = members = await grown_cluster(2, calm(), wall)
    await pinned(a, range(20))
    await agree(members)
    whole, number = await b.rows(), document_of(b)
    await cut(a, b)
    await b.stop()
    await sql(b, "DELETE FROM updates WHERE document = ?", (number,))
    await sql(b, "DELETE FROM pins WHERE cid = ?", (bytes(some_cid(1)),))
    if noticed:
        await sql(b, "UPDATE documents SET digest1 = 1 WHERE number = ?", (number,))
    else:
        await sql(b, "DELETE FROM documents WHERE number = ?", (number,))
    await b.start()
    await mended(b)
    assert await b.rows() == whole
    await agree(members)
    assert not await a.pinset.repair(b.peer)
    await stopped(*members)


@virtual_time
async def test_a_value_that_rotted_is_replaced_by_the_one_that_was_written() -> None:
    a, b = members = await grown_cluster(2, calm(), wall)
    await a.pinset.put(some_pin(1, "one"))
    await agree(members)
    await cut(a, b)
    number = document_of(b)
    (stored,) = await PinsetStore(b.database).documents([number])
    await b.stop()
    rotten = stored.updates[0].replace(b"one", b"two")
    assert rotten != stored.updates[0]
    await sql(b, "UPDATE updates SET data = ? WHERE document = ?", (rotten, number))
    await b.start()
    with pytest.raises(DamagedDocument):
        await b.pinset.remove(some_cid(1))
    await mended(b)
    assert (await b.rows())[some_cid(1)].options.name == "one"
    await agree(members)
    await stopped(*members)


@virtual_time
async def test_documents_that_stay_different_are_told_with_what_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    a, b = members = await grown_cluster(2, calm(), wall)
    await a.pinset.put(some_pin(1, "one"))
    await agree(members)
    await cut(a, b)
    number = document_of(b)
    (stored,) = await PinsetStore(b.database).documents([number])
    rotten = stored.updates[0].replace(b"one", b"two")
    await b.stop()
    await sql(b, "UPDATE updates SET data = ?", (rotten,))
    digest = halves(Document(1, [rotten]).digest())
    await sql(b, "UPDATE documents SET digest1 = ?, digest2 = ?", digest)  # it was written with that
    await b.start()
    await asyncio.sleep(1500)
    assert "remove cluster.db of the member that is wrong" in caplog.text
    await stopped(*members)


@pytest.mark.parametrize("whole", [True, False])
@virtual_time
async def test_a_cluster_of_one_makes_its_documents_again_from_its_log_or_rows(whole: bool) -> None:
    network = calm()
    (a,) = await grown_cluster(1, network, wall)
    await pinned(a, range(20))
    await a.pinset.remove(some_cid(2))
    rows = await a.rows()
    if not whole:
        await cut(a)
    await a.stop()
    await rot(a, document_of(a))
    await a.start()
    with pytest.raises(DamagedDocument):
        await a.pinset.put(some_pin(1, "again"))
    await mended(a)
    assert await a.rows() == rows
    await a.pinset.put(some_pin(1, "again"))
    await a.pinset.remove(some_cid(3))
    assert len(await logs_of(a, at=a)) == 2
    b = PinsetMember(1, a.genesis, network, wall)
    await b.start(await a.pinset.invite(SECRET))
    await agree([a, b])
    assert len(await b.rows()) == 18
    await stopped(a, b)


@virtual_time
async def test_a_follower_is_not_believed_and_does_not_make_a_trusted_member_change() -> None:
    a, b = members = await grown_cluster(2, calm(), wall, role=Role.FOLLOWER)
    await pinned(a, range(20))
    await agree(members)
    whole = await a.rows()
    await cut(a, b)
    await b.stop()
    await rot(b, document_of(b))
    await sql(b, "UPDATE documents SET digest1 = 1")
    await b.start()
    await mended(b, 2)
    await agree(members)
    assert await a.rows() == await b.rows() == whole
    assert a.pinset.counts.repaired == 0
    await stopped(*members)


async def test_bytes_that_rot_in_the_file_cost_no_pin(tmp_path: Path) -> None:
    path, genesis = tmp_path / "cluster.db", some_genesis(3)
    async with open_database(path, pragmas=PRAGMAS, schema=TABLES) as database:
        async with open_pinset(database, genesis, identity(0), calm().attach("us")) as pinset:
            await asyncio.gather(*(pinset.put(some_pin(number)) for number in range(20)))
            rows = [pin async for pin in pinset.pins()]
        (stored,) = await PinsetStore(database).documents([genesis.document_of(some_cid(1))])
    data, update = path.read_bytes(), stored.updates[0][:60]
    assert data.count(update) == 2, "in the document, and in the batch"
    path.write_bytes(data.replace(update, b"\xff" * len(update)))
    async with (
        open_database(path, pragmas=PRAGMAS, schema=TABLES) as database,
        open_pinset(database, genesis, identity(0), calm().attach("us")) as pinset,
    ):
        with pytest.raises(DamagedDocument):
            await pinset.put(some_pin(1, "again"))
        async with asyncio.timeout(30):
            while not pinset.counts.repaired:  # noqa: ASYNC110 - a repair has no event
                await asyncio.sleep(0.1)
        assert [pin async for pin in pinset.pins()] == rows
        await pinset.put(some_pin(1, "again"))
