from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing, closing
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.collecting import each, names_swept, swept
from support.dags import cids, leaf, leaves, node, tree
from support.exchanges import RemoteBlocks

from blockstore.block import Block
from blockstore.blocks import Blocks, OfflineExchange
from blockstore.cid import CID, DAG_CBOR, DAG_PB, JSON, RAW
from blockstore.errors import CollectorBusy, LinksUnknown
from blockstore.number_bitmap import NumberBitmap
from blockstore.pinning import gc
from blockstore.pinning.gc import Root
from blockstore.pinning.local_pinner import open_local_pins
from blockstore.sqlite import statements
from blockstore.sqlite.open_store import open_sqlite_blockstore
from blockstore.sqlite.store import SqliteBlockstore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteBlockstore]:
    async with open_sqlite_blockstore(tmp_path / "blocks.db") as opened:
        yield opened


async def collect(store: SqliteBlockstore, *roots: CID) -> set[bytes]:
    return await names_swept(store, each(map(Root, roots)))


async def here(store: SqliteBlockstore, blocks: Sequence[Block]) -> list[Block]:
    missing = set(await store.missing(cids(blocks)))
    return [block for block in blocks if block.cid not in missing]


def hashes(blocks: Iterable[Block]) -> set[bytes]:
    return {block.cid.multihash for block in blocks}


async def test_what_no_root_reaches_goes_and_the_rest_stays(store: SqliteBlockstore) -> None:
    kept, garbage = tree(4, 3), tree(3, 3, start=1000)
    await store.put_many([*kept, *garbage])
    before = await store.usage()
    pages = [page async for page in swept(store, each([Root(kept[0].cid)]))]
    assert hashes(await here(store, kept)) == hashes(kept)
    assert await here(store, garbage) == []
    assert {cid for page in pages for cid in page.cids} == {CID.v1(RAW, mh) for mh in hashes(garbage)}
    after = await store.usage()
    assert (
        sum(page.bytes for page in pages) == before.bytes - after.bytes == sum(len(b.data) for b in garbage)
    )
    assert after.blocks == len(kept)


async def test_without_roots_everything_goes_over_many_pages(store: SqliteBlockstore) -> None:
    await store.put_many(leaves(3500))
    assert await collect(store) == hashes(leaves(3500))
    usage = await store.usage()
    assert (usage.blocks, usage.bytes) == (0, 0)


async def test_a_direct_root_keeps_itself_alone(store: SqliteBlockstore) -> None:
    blocks = tree(3, 2)
    await store.put_many(blocks)
    roots = [Root(blocks[0].cid, recursive=False), Root(blocks[1].cid, recursive=False), Root(blocks[1].cid)]
    async for _ in gc.collect(store, each(roots)):
        pass
    below = [block for block in blocks if block.data in {leaf(number).data for number in range(3)}]
    assert hashes(await here(store, blocks)) == hashes([blocks[0], blocks[1], *below])


async def test_only_blocks_that_may_link_are_read(
    store: SqliteBlockstore, monkeypatch: pytest.MonkeyPatch
) -> None:
    childless = [node([], b"leaf %d" % number) for number in range(5)]
    root = node(cids([*childless, *leaves(5)]))
    await store.put_many([root, *childless, *leaves(5)])
    read: list[CID] = []
    get_many = store.get_many

    async def watched(asked: Sequence[CID]) -> list[Block | None]:
        read.extend(asked)
        return await get_many(asked)

    monkeypatch.setattr(store, "get_many", watched)
    assert await collect(store, root.cid) == set()
    assert read == [root.cid]


async def test_a_dag_with_holes_keeps_what_can_be_reached(store: SqliteBlockstore) -> None:
    blocks = tree(3, 2)
    await store.put_many([blocks[0], *blocks[2:]])  # the first inner node has not come yet
    orphans = hashes(leaves(3))
    assert await collect(store, blocks[0].cid) == orphans


async def test_names_of_one_block_under_two_codecs_are_both_followed(store: SqliteBlockstore) -> None:
    inner = node([leaf(1).cid])
    root = node([CID.v1(RAW, inner.cid.multihash), inner.cid])
    await store.put_many([root, inner, leaf(1)])
    assert await collect(store, root.cid) == set()
    assert await collect(store, CID.v1(RAW, inner.cid.multihash), inner.cid) == hashes([root])
    assert await collect(store, CID.v1(JSON, inner.cid.multihash), inner.cid) == set()
    assert await collect(store, inner.cid, CID.v1(JSON, inner.cid.multihash)) == set()


async def test_links_inside_inline_blocks_are_followed(store: SqliteBlockstore) -> None:
    inline = CID.identity(DAG_PB, node([leaf(1).cid]).data)
    root = node([inline])
    await store.put_many([root, *leaves(3)])
    assert await collect(store, root.cid) == hashes([leaf(0), leaf(2)])
    assert await collect(store, inline) == hashes([root])


@pytest.mark.parametrize(
    "dark",
    [
        Block.of(b"strange", 0x300123),
        Block.of(b"\x12\xff", DAG_PB),
        Block.of(b"\x82\x01", DAG_CBOR),
        Block.of(b"\x81" * 50_000 + b"\x01", DAG_CBOR),
    ],
)
async def test_where_links_cannot_be_followed_nothing_is_removed(
    store: SqliteBlockstore, caplog: pytest.LogCaptureFixture, dark: Block
) -> None:
    root = node([dark.cid])
    await store.put_many([root, dark, leaf(1)])
    with pytest.raises(LinksUnknown, match=f"block {dark.cid} of pin {root.cid}: .*Unpin"):
        await collect(store, leaf(2).cid, root.cid)
    assert await store.has(leaf(1).cid)
    assert str(dark.cid) in caplog.text
    assert await collect(store) == hashes([root, dark, leaf(1)])  # it is pinned no longer


async def test_a_direct_root_need_not_be_followed(store: SqliteBlockstore) -> None:
    dark = Block.of(b"strange", 0x300123)
    await store.put_many([dark, leaf(1)])
    async for _ in swept(store, each([Root(dark.cid, recursive=False, whole=True)])):
        pass
    assert await here(store, [dark, leaf(1)]) == [dark]


async def test_a_block_that_was_lost_makes_nothing_garbage(store: SqliteBlockstore) -> None:
    lost = node([leaf(1).cid])
    root = node([lost.cid, leaf(2).cid])
    await store.put_many([root, leaf(1), leaf(2)])
    with pytest.raises(
        LinksUnknown, match=f"block {lost.cid} of pin {root.cid}: it was here, and is missing"
    ):
        async for _ in swept(store, each([Root(root.cid, whole=True)])):
            pass
    assert await here(store, [leaf(1)]) == [leaf(1)]


async def test_a_lost_leaf_holds_no_collection_up(store: SqliteBlockstore) -> None:
    root = node([leaf(1).cid])
    await store.put_many([root, leaf(2)])
    async for _ in swept(store, each([Root(root.cid, whole=True)])):
        pass
    assert await here(store, [root, leaf(2)]) == [root]


@pytest.mark.parametrize(
    "damage", ["only_data = 1", "size = 0", "size = NULL", "size = x'00', only_data = 1", "only_data = 'x'"]
)
async def test_what_a_damaged_column_says_of_a_node_makes_nothing_garbage(
    tmp_path: Path, damage: str
) -> None:
    path, blocks = tmp_path / "blocks.db", [*tree(3, 3), node([], b"data alone")]
    async with open_sqlite_blockstore(path) as store:
        await store.put_many(blocks)
    with closing(sqlite3.connect(path)) as rows:  # rot writes without asking what the schema allows
        rows.executescript(
            "PRAGMA writable_schema=1; UPDATE sqlite_schema SET sql=replace(sql, 'INTEGER NOT NULL', '');"
            "PRAGMA writable_schema=RESET"
        )
        rows.execute(f"UPDATE blocks SET {damage}").close()
        rows.commit()
    async with open_sqlite_blockstore(path) as store:
        stats = await store.stat(cids(blocks))
        assert [stat and stat.size for stat in stats] == [len(block.data) for block in blocks]
        assert [stat and stat.links for stat in stats] == [len(block.data) > 32 for block in blocks]
        assert await collect(store, blocks[0].cid) == {blocks[-1].cid.multihash}
        assert await here(store, blocks[:-1]) == blocks[:-1]
        usage = await store.usage()
        assert (usage.blocks, usage.bytes) == (len(blocks) - 1, sum(len(b.data) for b in blocks[:-1]))


async def test_many_roots_are_read_in_pages(store: SqliteBlockstore) -> None:
    blocks = leaves(700)
    await store.put_many(blocks)
    assert await collect(store, *cids(blocks[:600])) == hashes(blocks[600:])


async def test_one_collection_at_a_time(store: SqliteBlockstore) -> None:
    await store.put_many(leaves(3))
    async with aclosing(swept(store, each([]))) as running:
        await anext(running)
        with pytest.raises(CollectorBusy):
            await collect(store)
    assert await collect(store) == set()


async def collect_during(store: SqliteBlockstore, between: asyncio.Event, go_on: asyncio.Event) -> set[bytes]:
    """A collection without roots that stops between mark and sweep until `go_on`."""

    async def no_roots() -> AsyncIterator[Root]:
        between.set()
        await go_on.wait()
        for root in list[Root]():
            yield root

    return await names_swept(store, no_roots())


async def test_what_is_put_or_looked_up_during_a_collection_stays(store: SqliteBlockstore) -> None:
    old, new = leaves(6), leaves(3, start=100)
    await store.put_many(old)
    between, go_on = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(collect_during(store, between, go_on))
    await between.wait()
    await store.put_many([*new, old[0]])
    await store.has(old[1].cid)
    await store.stat([old[2].cid])
    await store.missing([old[3].cid])
    go_on.set()
    assert await running == hashes(old[4:])
    assert await store.missing(cids([*new, *old[:4]])) == []


async def test_marking_waits_for_a_put_that_is_under_way(
    store: SqliteBlockstore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its blocks can neither be seen yet, nor did they hear that a collection has begun."""
    root = node(cids(leaves(5)))
    await store.put_many([root])
    begun, go_on = threading.Event(), threading.Event()

    def slow_insert(connection: sqlite3.Connection, first: int, new: Sequence[tuple[bytes, bytes]]) -> None:
        begun.set()
        assert go_on.wait(10)
        insert(connection, first, new)

    insert = statements.insert
    monkeypatch.setattr(statements, "insert", slow_insert)  # white box: a write that is held up half way
    put = asyncio.create_task(store.put_many(leaves(5)))
    await asyncio.to_thread(begun.wait, 10)
    marking = asyncio.Event()

    async def roots() -> AsyncIterator[Root]:
        marking.set()
        yield Root(root.cid)

    async def run() -> set[bytes]:
        return await names_swept(store, roots())

    running = asyncio.create_task(run())
    for _ in range(5):
        await store.get(root.cid)  # gives a collection that does not wait the time to go wrong
    assert not marking.is_set()
    go_on.set()
    await put
    assert await running == set()
    assert await store.missing(cids(leaves(5))) == []


async def test_the_number_of_a_removed_row_never_makes_a_new_block_garbage(store: SqliteBlockstore) -> None:
    """SQLite gives the number of a deleted last row again."""
    await store.put_many(leaves(5))
    between, go_on = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(collect_during(store, between, go_on))
    await between.wait()
    await store.delete_many([leaf(4).cid])
    await store.put_many([leaf(50)])
    go_on.set()
    assert await running == hashes(leaves(4))
    assert await store.has(leaf(50).cid)


async def test_an_import_under_protection_loses_nothing_to_a_collection(store: SqliteBlockstore) -> None:
    """Leaves come first, the root last; one of them lay here before, as garbage."""
    blocks = tree(3, 2)[::-1]
    await store.put_many([blocks[0], leaf(99)])
    with store.protect():
        await store.put_many(blocks[:5])
        assert await collect(store) == hashes([leaf(99)])
        await store.put_many(blocks[5:])
        assert await collect(store) == set()
    assert hashes(await here(store, blocks)) == hashes(blocks)
    assert await collect(store) == hashes(blocks)


async def test_nested_protection_lasts_until_the_last_one_ends(store: SqliteBlockstore) -> None:
    with store.protect():
        await store.put_many([leaf(1)])
        with store.protect():
            await store.put_many([leaf(2)])
        assert await collect(store) == set()
    assert await collect(store) == hashes(leaves(2, start=1))


async def test_pins_and_collections_side_by_side_lose_nothing(
    tmp_path: Path, store: SqliteBlockstore
) -> None:
    """Old garbage becomes part of pins while collections run one after the other."""
    random = Random(3)
    trees = [tree(3, 3, start=100 * number) for number in range(12)]
    everything = [block for blocks in trees for block in blocks]
    await store.put_many(random.sample(everything, len(everything) // 2))
    blocks = Blocks(store, RemoteBlocks(everything))
    async with open_local_pins(tmp_path / "pins.db", blocks) as pins:

        async def roots() -> AsyncIterator[Root]:
            async for pin in pins.pinned():
                yield Root(pin.cid, pin.recursive)

        async def collecting(done: asyncio.Event) -> None:
            while not done.is_set():
                async for _ in swept(store, roots()):
                    pass

        done = asyncio.Event()
        collector = asyncio.create_task(collecting(done))
        for group in (trees[:4], trees[4:8], trees[8:]):
            calls = (
                pins.pin(blocks[0].cid, recursive=True, hints=(), progress=lambda *_: None)
                for blocks in group
            )
            assert all(root.complete for root in await asyncio.gather(*calls))
        done.set()
        await collector
        assert await store.missing(cids(everything)) == []


async def test_space_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "blocks.db"
    async with open_sqlite_blockstore(path) as store:
        await store.put_many(leaves(100, size=100_000))
        async for _ in swept(store, each([])):
            pass
        await gc.give_back(store)
        assert await store.reclaim() == 0
        assert path.stat().st_size < 1_000_000


async def test_a_pinned_dag_is_whole_after_a_collection(tmp_path: Path, store: SqliteBlockstore) -> None:
    blocks = tree(4, 3)
    await store.put_many([*blocks, *leaves(50, start=5000)])
    source = Blocks(store, OfflineExchange())
    async with open_local_pins(tmp_path / "pins.db", source) as pins:
        await pins.pin(blocks[0].cid, recursive=True, hints=(), progress=lambda *_: None)
        assert len(await collect(store, *[pin.cid async for pin in pins.pinned()])) == 50
        await pins.unpin(blocks[0].cid)
        root = await pins.pin(blocks[0].cid, recursive=True, hints=(), progress=lambda *_: None)
        assert root.blocks == 85


@given(rows=st.sets(st.integers(0, 10**9)), others=st.sets(st.integers(0, 10**9)))
def test_a_row_set_is_a_set(rows: set[int], others: set[int]) -> None:
    found = NumberBitmap()
    for row in rows:
        found.add(row)
    assert all(row in found for row in rows)
    assert [row in found for row in others] == [row in rows for row in others]
