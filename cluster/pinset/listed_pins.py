"""Which pins are in a document, by the rows: for when the document itself does not tell."""

from __future__ import annotations

from collections.abc import Collection

from blockstore.cid import CID
from cluster.common.cooperative import TimeSlice
from cluster.common.genesis import Genesis
from cluster.pinset.tables.store import PinsetStore

_PAGE = 4096  # rows read at once


async def listed_in(
    numbers: Collection[int], store: PinsetStore, genesis: Genesis, time_slice: TimeSlice
) -> set[CID]:
    """CIDs of the pins that belong in these documents: a look at every row."""
    found: set[CID] = set()
    after = b""
    while page := await store.snapshots.cids(after, _PAGE):
        for cid in map(CID.decode, page):
            if genesis.document_of(cid) in numbers:
                found.add(cid)
            await time_slice.yield_if_due()
        after = page[-1]
    return found
