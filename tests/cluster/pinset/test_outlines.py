"""Entries are added to documents that are not read; what is stored is what reading them would have made."""

from __future__ import annotations

import asyncio
from contextlib import closing
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from support.inline_database import InlineDatabase
from support.pinset_member import identity, some_cid, some_genesis, some_pin

from blockstore.common import varint
from cluster.common.hybrid_clock import HybridClock
from cluster.common.local_member import LocalMember
from cluster.common.pin_codec import encode_pin
from cluster.pinset.changes import PinWrite, Verdict
from cluster.pinset.documents.clocks import decode_clocks, encode_clocks
from cluster.pinset.documents.document import Document
from cluster.pinset.documents.document_digest import MODULUS, halves
from cluster.pinset.documents.growing_document import GrowingDocument
from cluster.pinset.log.batch import SignedBatch
from cluster.pinset.replica import Replica, open_replica
from cluster.pinset.tables.store import PinsetStore
from cluster.pinset.transaction import newest

GENESIS = some_genesis(1)
CIDS = 12

STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),  # who
        st.booleans(),  # takes what the others wrote first
        st.booleans(),  # starts anew first: another client id
        st.dictionaries(st.integers(0, CIDS - 1), st.booleans(), min_size=1, max_size=4),  # pins or unpins
    ),
    max_size=25,
)


class Writer:
    """A replica, and the batches that it wrote."""

    def __init__(self, number: int) -> None:
        self.database = InlineDatabase()
        self.store = PinsetStore(self.database)
        self.local = LocalMember(GENESIS, identity(number), HybridClock(lambda: 1e9), Random(number))
        self.written: list[SignedBatch] = []

    async def start(self) -> None:
        await self.store.prepare()
        self.replica: Replica = await open_replica(self.store, self.local, lambda changes: None)

    async def write(self, wanted: dict[int, bool]) -> None:
        writes = [
            PinWrite(some_cid(number), encode_pin(some_pin(number)) if kept else None)
            for number, kept in wanted.items()
        ]
        if (batch := (await self.replica.write(writes)).batch) is not None:
            self.written.append(batch)

    async def take(self, batches: list[SignedBatch]) -> None:
        """All that there are, again and again, until none has to wait for another."""
        while batches:
            verdicts = await self.replica.admit(batches)
            assert not {Verdict.REFUSED, Verdict.FORKED} & set(verdicts)
            batches = [one for one, said in zip(batches, verdicts, strict=True) if said is Verdict.EARLY]

    async def check(self) -> None:
        """Digests, clocks and rows are those of the documents as they lie on disk."""
        stored = await self.database.read(
            lambda db: {
                row[0]: row[1:]
                for row in db.execute("SELECT number, digest1, digest2, clocks FROM documents")
            }
        )
        for number, document in enumerate(await self.store.documents(range(2))):
            states = [state for state in (document.snapshot, *document.updates) if state]
            content = Document(1, states)
            if number in stored or states:
                first, second, clocks = stored[number]
                assert (first, second) == halves(content.digest())
                assert decode_clocks(clocks) == content.clocks
            cids = [cid for cid in map(some_cid, range(CIDS)) if GENESIS.document_of(cid) == number]
            assert await self.store.values([bytes(cid) for cid in cids]) == [
                newest(content.entries(cid)) for cid in cids
            ]


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_what_is_stored_is_what_the_documents_say(
    steps: list[tuple[int, bool, bool, dict[int, bool]]],
) -> None:
    asyncio.run(_run(steps))


async def _run(steps: list[tuple[int, bool, bool, dict[int, bool]]]) -> None:
    writers = [Writer(number) for number in range(3)]
    for writer in writers:
        await writer.start()
    for who, takes, starts_anew, wanted in steps:
        if starts_anew:
            await writers[who].start()
        if takes:
            await exchange(writers[who], writers)
        await writers[who].write(wanted)
        await writers[who].check()
    for writer in writers:
        await exchange(writer, writers)
        await writer.check()
    assert len({str(await writer.store.digest_sums(0, 2, 1)) for writer in writers}) == 1
    for writer in writers:
        writer.database.close()


async def exchange(reader: Writer, writers: list[Writer]) -> None:
    others = [writer for writer in writers if writer is not reader]
    await reader.take([batch for writer in others for batch in writer.written])


@given(st.dictionaries(st.integers(1, (1 << 53) - 1), st.integers(1, (1 << 31) - 1), max_size=5))
def test_clocks_are_read_as_written(clocks: dict[int, int]) -> None:
    assert decode_clocks(encode_clocks(clocks)) == clocks


async def test_a_new_pin_reads_no_document_and_a_change_reads_one() -> None:
    writer = Writer(0)
    await writer.start()
    ran: list[str] = []
    await writer.database.read(lambda db: db.set_trace_callback(ran.append))
    with closing(writer.database):
        for number in range(8):
            await writer.write({number: True})
        assert not [statement for statement in ran if "group_concat(hex(data)" in statement]
        await writer.write({3: False})
        assert [statement for statement in ran if "group_concat(hex(data)" in statement]


@given(
    st.dictionaries(st.integers(1, (1 << 53) - 1), st.integers(1, 300), max_size=3),
    st.lists(st.dictionaries(st.integers(0, CIDS - 1), st.binary(max_size=300), min_size=1), max_size=3),
)
def test_what_is_put_together_here_are_the_bytes_that_yrs_makes(
    clocks: dict[int, int], writes: list[dict[int, bytes]]
) -> None:
    client = 1 << 40
    growing, document = GrowingDocument(client, clocks), Document(client, [items_of(clocks)])
    seen: set[int] = set()
    gained = 0
    for write in writes:
        new = {some_cid(number): value for number, value in write.items() if number not in seen}
        seen |= write.keys()
        before = document.digest()
        assert growing.write(new)[0] == document.write(new)[0]
        assert {cid: growing.entries(cid) for cid in new} == {cid: document.entries(cid) for cid in new}
        assert growing.clocks == document.clocks
        assert (document.digest() - before) % MODULUS == (growing.gain() - gained) % MODULUS
        gained = growing.gain()


def items_of(clocks: dict[int, int]) -> bytes:
    """A Yjs update in whose place of items nothing is left (GC structs)."""
    parts = [varint.encode(len(clocks))]
    for client, clock in sorted(clocks.items(), reverse=True):
        parts += (b"\1", varint.encode(client), b"\0\0", varint.encode(clock))
    return b"".join((*parts, b"\0"))
