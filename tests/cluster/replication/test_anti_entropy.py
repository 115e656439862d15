"""Documents that differ though the logs are equal are made again."""

from __future__ import annotations

import asyncio

from support.clock import virtual_time
from support.pinset_forger import calm, document_of, stopped, wall
from support.pinset_member import agree, grown_cluster, some_cid, some_pin


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
        while await b.rows() != whole:  # noqa: ASYNC110 - the repair has no event
            await asyncio.sleep(1)
    assert b.pinset.counts.repaired == 1
    assert not await a.pinset.repair(b.peer)
    await agree(members, within=1)
    await stopped(*members)
