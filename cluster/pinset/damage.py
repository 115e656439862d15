"""Documents that are not what was written: found by their digest, and what the rows still say of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from blockstore.cid import CID
from cluster.common.cooperative import TimeSlice
from cluster.common.genesis import Genesis
from cluster.common.pin_codec import decode_pin
from cluster.errors import BadUpdate, DamagedDocument
from cluster.pinset.document_cache import OpenDocument
from cluster.pinset.documents.document_digest import halves
from cluster.pinset.listed_pins import listed_in
from cluster.pinset.tables.rows import StoredDocument
from cluster.pinset.tables.store import PinsetStore

_READER = 1  # a client id: nothing is written by it
_GROUP_BYTES = 512 * 1024  # of values in one batch


async def find_damaged(store: PinsetStore, numbers: Sequence[int], time_slice: TimeSlice) -> frozenset[int]:
    """Of these, documents that cannot be read, or whose digest is not the one that was written down."""
    digests = await store.snapshots.digests(numbers)
    found = set()
    for number, stored in zip(numbers, await store.documents(numbers), strict=True):
        if number in digests and _digest(number, stored) != digests[number]:
            found.add(number)
        await time_slice.yield_if_due()
    return frozenset(found)


def _digest(number: int, stored: StoredDocument) -> tuple[int, int] | None:
    try:
        content = OpenDocument(number, _READER, stored.snapshot, stored.updates).content
        return halves(content.digest())
    except (DamagedDocument, ValueError):  # ValueError: a key that is none
        return None


async def rows_of(
    numbers: Collection[int], store: PinsetStore, genesis: Genesis, time_slice: TimeSlice
) -> Mapping[int, Mapping[CID, bytes]]:
    """By document: the pins that its rows say, as far as they can be read."""
    cids = sorted(await listed_in(numbers, store, genesis, time_slice), key=bytes)
    found: dict[int, dict[CID, bytes]] = defaultdict(dict)
    for number in sorted(numbers):
        found[number] = {}
    for cid, value in zip(cids, await store.values([bytes(cid) for cid in cids]), strict=True):
        if value is not None and _is_readable(value):
            found[genesis.document_of(cid)][cid] = value
        await time_slice.yield_if_due()
    return found


def _is_readable(value: bytes) -> bool:
    try:
        decode_pin(value)
    except BadUpdate:
        return False
    return True


def grouped(values: Mapping[CID, bytes]) -> Iterator[Mapping[CID, bytes]]:
    """In groups that are a batch each."""
    group: dict[CID, bytes] = {}
    for cid, value in values.items():
        group[cid] = value
        if sum(map(len, group.values())) > _GROUP_BYTES:
            yield group
            group = {}
    if group:
        yield group
