from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest
from support.dags import cids, leaf, leaves, tree
from support.exchanges import RemoteBlocks

from blockstore.block import Block
from blockstore.blocks import Blocks
from blockstore.cid import CID, DAG_PB, RAW
from blockstore.errors import AboveMaxSize, BlockNotFound, PinWithdrawn, StorageFull, StoreCorrupt
from blockstore.ipld import dag_pb
from blockstore.ipld.dag_pb import PBLink, PBNode
from blockstore.marks import Unmarked
from blockstore.memory_store import MemoryBlockstore
from blockstore.pinning.local_pinner import LocalPinner, PinnedRoot, open_local_pins
from blockstore.pinning.pin_progress import PinProgress
from blockstore.sqlite.open_store import open_sqlite_blockstore
from blockstore.store import StoreStat

TREE = tree(4, 3)
ROOT = TREE[0].cid
TREE_BYTES = sum(len(block.data) for block in TREE)


class Pins:
    """A pinner over an empty store and a remote that has the tree."""

    def __init__(self, pinner: LocalPinner, store: MemoryBlockstore, remote: RemoteBlocks) -> None:
        self.pinner, self.store, self.remote = pinner, store, remote
        self.progress: list[PinProgress] = []

    async def pin(
        self, cid: CID = ROOT, *, recursive: bool = True, hints: tuple[str, ...] = ()
    ) -> PinnedRoot:
        def note(progress: PinProgress) -> None:
            self.progress.append(progress)

        return await self.pinner.pin(cid, recursive=recursive, hints=hints, progress=note)

    async def all(self) -> list[PinnedRoot]:
        return [root async for root in self.pinner.pinned()]


@pytest.fixture
async def pins(tmp_path: Path) -> AsyncIterator[Pins]:
    store, remote = MemoryBlockstore(), RemoteBlocks([*TREE, *leaves(100, start=500)])
    async with open_local_pins(tmp_path / "pins.db", Blocks(store, remote)) as pinner:
        yield Pins(pinner, store, remote)


async def test_pinning_fetches_the_whole_dag_and_counts_it(pins: Pins) -> None:
    root = await pins.pin()
    assert root == PinnedRoot(ROOT, complete=True, recursive=True, blocks=len(TREE), bytes=TREE_BYTES)
    assert await pins.pinner.get(ROOT) == root
    assert await pins.store.missing(cids(TREE)) == []


async def test_progress_grows_to_the_whole(pins: Pins) -> None:
    await pins.pin()
    assert pins.progress == sorted(pins.progress, key=lambda step: step[:2])
    assert pins.progress[0][:3] == (1, len(TREE[0].data), 4)
    assert pins.progress[-1][:3] == (len(TREE), TREE_BYTES, 0)


async def test_a_direct_pin_is_one_block(pins: Pins) -> None:
    root = await pins.pin(recursive=False)
    assert (root.complete, root.recursive, root.blocks) == (True, False, 1)
    assert await pins.store.missing(cids(TREE)) == cids(TREE[1:])


async def test_a_direct_pin_can_become_recursive_and_stays_so(pins: Pins) -> None:
    await pins.pin(recursive=False)
    assert (await pins.pin()).blocks == len(TREE)
    assert await pins.pin(recursive=False) == await pins.pinner.get(ROOT)
    assert [root.recursive for root in await pins.all()] == [True]


async def test_a_complete_root_returns_at_once(pins: Pins) -> None:
    root = await pins.pin()
    asked, steps = len(pins.remote.asked), len(pins.progress)
    assert await pins.pin() == root
    assert (len(pins.remote.asked), len(pins.progress)) == (asked, steps)


async def test_the_root_is_recorded_as_incomplete_before_anything_comes(pins: Pins) -> None:
    pins.remote.hold()
    call = asyncio.create_task(pins.pin())
    await pins.remote.until_running(1)
    assert await pins.pinner.get(ROOT) == PinnedRoot(ROOT, complete=False, recursive=True, blocks=0, bytes=0)
    pins.remote.released.set()
    assert (await call).complete


async def test_a_failed_pin_stays_incomplete_and_goes_on_where_it_stopped(pins: Pins) -> None:
    lost = TREE[-1]
    pins.remote.forget(lost.cid)
    with pytest.raises(BlockNotFound, match="the other store has not got it") as caught:
        await pins.pin()
    assert caught.value.cid == lost.cid
    assert [root.complete for root in await pins.all()] == [False]
    here = (await pins.store.usage()).blocks
    assert here > 1
    asked = len(pins.remote.asked)
    await pins.store.put_many([lost])
    assert (await pins.pin()).blocks == len(TREE)
    assert len(pins.remote.asked) - asked == len(TREE) - here - 1


async def test_a_cancelled_pin_keeps_what_came_and_withdraws_the_rest(pins: Pins) -> None:
    await pins.store.put_many(TREE[:5])
    pins.remote.hold()
    call = asyncio.create_task(pins.pin())
    await pins.remote.until_running(16)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert pins.remote.running == 0
    assert [root.complete for root in await pins.all()] == [False]
    pins.remote.released.set()
    assert (await pins.pin()).complete


async def test_hints_reach_the_exchange(pins: Pins) -> None:
    await pins.pin(hints=("peer-a", "peer-b"))
    assert set(pins.remote.hints) == {("peer-a", "peer-b")}


async def test_a_full_store_fails_the_pin_with_its_own_words(tmp_path: Path) -> None:
    blocks = Blocks(MemoryBlockstore(quota=200), RemoteBlocks(TREE))
    async with open_local_pins(tmp_path / "pins.db", blocks) as pinner:
        with pytest.raises(StorageFull, match="quota"):
            await pinner.pin(ROOT, recursive=True, hints=(), progress=lambda *_: None)
        found = await pinner.get(ROOT)
        assert found is not None
        assert not found.complete


async def test_a_dag_that_does_not_fit_is_refused_before_more_than_its_root_is_fetched(
    tmp_path: Path,
) -> None:
    parts = leaves(30, size=1_000_000)
    links = [PBLink(part.cid, "", 1_000_000) for part in parts]
    root = Block.of(dag_pb.encode(PBNode(tuple(links), None)), DAG_PB)
    remote = RemoteBlocks([root, *parts])
    async with open_sqlite_blockstore(tmp_path / "blocks.db", quota=20_000_000) as store:
        opening = open_local_pins(tmp_path / "pins.db", Blocks(store, remote), reserving=store.reserve)
        async with opening as pinner:
            with pytest.raises(StorageFull, match=r"quota reached: .* 28.61 MiB more do not fit"):
                await pinner.pin(root.cid, recursive=True, hints=(), progress=lambda *_: None)
            assert remote.asked == [root.cid]
            assert (await store.usage()).reserved == 0


def measured_root(parts: Sequence[Block], says: int) -> Block:
    """A root that says of each part that it has so many bytes."""
    links = tuple(PBLink(part.cid, "", says) for part in parts)
    return Block.of(dag_pb.encode(PBNode(links, None)), DAG_PB)


@pytest.mark.parametrize(
    ("says", "found", "asked"),
    [(1_000_000, r"its root says that it has 3000\d+", 1), (1, r"\d+ bytes of it are here", 4)],
)
async def test_what_is_above_its_greatest_size_is_refused_as_soon_as_that_is_known(
    tmp_path: Path, says: int, found: str, asked: int
) -> None:
    parts = leaves(3, size=1_000_000)
    root = measured_root(parts, says)
    remote = RemoteBlocks([root, *parts])
    async with open_local_pins(tmp_path / "pins.db", Blocks(MemoryBlockstore(), remote)) as pinner:
        pin = partial(pinner.pin, root.cid, recursive=True, hints=(), progress=lambda *_: None)
        with pytest.raises(AboveMaxSize, match=f"larger than its limit of 2000000 bytes: {found}"):
            await pin(max_size=2_000_000)
        assert len(remote.asked) <= asked
        (left,) = [one async for one in pinner.pinned()]
        assert not left.complete
        whole = await pin(max_size=3_001_000)
        assert (whole.complete, whole.bytes) == (True, 3_000_000 + len(root.data))


async def test_unpinning_forgets_the_root_and_leaves_the_blocks(pins: Pins) -> None:
    await pins.pin()
    await pins.pinner.unpin(ROOT)
    await pins.pinner.unpin(ROOT)
    assert await pins.pinner.get(ROOT) is None
    assert await pins.store.missing(cids(TREE)) == []


@pytest.mark.parametrize("again", [False, True])
async def test_a_walk_overtaken_by_unpin_records_nothing(pins: Pins, again: bool) -> None:
    """Even when the root is pinned again meanwhile: in between, garbage may have been collected."""
    pins.remote.hold()
    call = asyncio.create_task(pins.pin())
    await pins.remote.until_running(1)
    await pins.pinner.unpin(ROOT)
    second = asyncio.create_task(pins.pin()) if again else None
    await pins.remote.until_running(2 if again else 1)
    pins.remote.released.set()
    with pytest.raises(PinWithdrawn, match=str(ROOT)):
        await call
    if second is None:
        assert await pins.pinner.get(ROOT) is None
    else:
        assert (await second).complete


async def test_two_walks_of_one_root_both_end(pins: Pins) -> None:
    first, second = await asyncio.gather(pins.pin(), pins.pin())
    assert first == second
    assert first.complete


async def test_versions_of_a_cid_are_roots_of_their_own(pins: Pins) -> None:
    block = Block.of(b"", version=0)
    await pins.store.put_many([block])
    await pins.pin(block.cid)
    await pins.pin(block.cid.as_v1())
    assert {root.cid for root in await pins.all()} == {block.cid, block.cid.as_v1()}
    await pins.pinner.unpin(block.cid)
    assert {root.cid for root in await pins.all()} == {block.cid.as_v1()}


async def test_roots_are_listed_in_key_order_over_pages_and_from_any_of_them(pins: Pins) -> None:
    blocks = leaves(2100)
    await pins.store.put_many(blocks)
    roots = sorted(cids(blocks), key=bytes)
    await asyncio.gather(*map(pins.pin, roots))
    assert [root.cid for root in await pins.all()] == roots
    behind = [root.cid async for root in pins.pinner.pinned(after=roots[1500])]
    assert behind == roots[1501:]


async def test_roots_outlive_the_process(tmp_path: Path) -> None:
    blocks = Blocks(MemoryBlockstore(), RemoteBlocks(TREE))
    async with open_local_pins(tmp_path / "pins.db", blocks) as pinner:
        await pinner.pin(ROOT, recursive=True, hints=(), progress=lambda *_: None)
        with pytest.raises(BlockNotFound):
            await pinner.pin(leaf(900).cid, recursive=True, hints=(), progress=lambda *_: None)
    async with open_local_pins(tmp_path / "pins.db", blocks) as pinner:
        assert {root.cid: root.complete async for root in pinner.pinned()} == {
            ROOT: True,
            leaf(900).cid: False,
        }


class FlushWatch(MemoryBlockstore):
    """Tells whether the file of roots was complete when the blocks were made durable."""

    def __init__(self, pins: Path) -> None:
        super().__init__()
        self._pins = pins
        self.complete_at_flush: list[int] = []

    async def flush(self) -> None:
        connection = sqlite3.connect(self._pins)
        found = connection.execute("SELECT count(*) FROM roots WHERE complete").fetchone()
        connection.close()
        self.complete_at_flush += found


async def test_blocks_are_durable_before_their_root_is_complete(tmp_path: Path) -> None:
    store = FlushWatch(tmp_path / "pins.db")
    async with open_local_pins(tmp_path / "pins.db", Blocks(store, RemoteBlocks(TREE))) as pinner:
        await pinner.pin(ROOT, recursive=True, hints=(), progress=lambda *_: None)
    assert set(store.complete_at_flush) == {0}


async def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "pins.db").write_bytes(b"no roots here " * 500)
    with pytest.raises(StoreCorrupt, match=r"pins\.db is damaged"):
        async with open_local_pins(tmp_path / "pins.db", Blocks(MemoryBlockstore(), RemoteBlocks([]))):
            raise AssertionError("opened")


async def test_a_root_that_is_not_where_it_belongs_makes_no_endless_list(tmp_path: Path) -> None:
    path, blocks = tmp_path / "pins.db", leaves(40)
    store = MemoryBlockstore()
    await store.put_many(blocks)
    async with open_local_pins(path, Blocks(store, RemoteBlocks([]))) as pins:
        for block in blocks:
            await pins.pin(block.cid, recursive=True, hints=(), progress=lambda *_: None)
    data, odd = path.read_bytes(), bytes(sorted(cids(blocks), key=bytes)[30])
    path.write_bytes(data.replace(odd, odd[:1] + bytes([odd[1] ^ 0x20]) + odd[2:]))
    async with open_local_pins(path, Blocks(store, RemoteBlocks([]))) as pins:
        with pytest.raises(StoreCorrupt, match="not where it belongs"):
            [_ async for _ in pins.pinned()]


async def test_single_blocks_that_are_here_are_recorded_together_and_nothing_else_is(pins: Pins) -> None:
    here, absent, text = leaf(1), leaf(2), CID.identity(RAW, b"text")
    file = Block.of(b"\x0a\x04\x08\x02\x18\x00", DAG_PB)  # data alone: it links to nothing
    await pins.store.put_many([here, file, TREE[0]])
    inline = CID.identity(DAG_PB, file.data)
    roots = {here.cid: True, absent.cid: True, text: True, file.cid: True, inline: False, ROOT: True}
    recorded = await pins.pinner.pin_here(roots)
    expected = [
        PinnedRoot(cid, True, True, 1, size) for cid, size in ((here.cid, 32), (text, 4), (file.cid, 6))
    ]
    assert recorded == [*expected, PinnedRoot(inline, True, False, 1, 6)]
    assert recorded == await pins.pinner.get_many([root.cid for root in recorded])
    assert await pins.pinner.get_many([absent.cid, ROOT]) == [
        PinnedRoot(cid, False, True, 0, 0) for cid in (absent.cid, ROOT)
    ]
    assert pins.remote.asked == []
    direct = await pins.pinner.pin_here({TREE[1].cid: False, ROOT: False})
    assert direct == [], "the first is not here; the other is being pinned as a whole"
    await pins.store.put_many([TREE[1]])
    assert [root.blocks for root in await pins.pinner.pin_here({TREE[1].cid: False})] == [1]
    assert (await pins.pin()).complete


async def test_a_group_overtaken_by_unpin_records_the_others(tmp_path: Path) -> None:
    store, blocks = SlowToFlush(), leaves(3)
    await store.put_many(blocks)
    async with open_local_pins(tmp_path / "pins.db", Blocks(store, RemoteBlocks([]))) as pinner:
        store.hold()
        group = asyncio.create_task(pinner.pin_here({block.cid: True for block in blocks}))
        await store.flushing.wait()
        await pinner.unpin(blocks[1].cid)
        store.flushed.set()
        assert [root.cid for root in await group] == [blocks[0].cid, blocks[2].cid]
        assert [root.cid async for root in pinner.pinned()] == sorted(
            [blocks[0].cid, blocks[2].cid], key=bytes
        )


class SlowToFlush(MemoryBlockstore):
    """Its flush ends when told."""

    def __init__(self) -> None:
        super().__init__()
        self.flushing, self.flushed = asyncio.Event(), asyncio.Event()
        self.flushed.set()

    def hold(self) -> None:
        self.flushing.clear()
        self.flushed.clear()

    async def flush(self) -> None:
        self.flushing.set()
        await self.flushed.wait()


class Reads(MemoryBlockstore):
    """Tells which blocks were looked up."""

    def __init__(self) -> None:
        super().__init__()
        self.looked_up: set[CID] = set()

    async def stat(self, cids: Sequence[CID]) -> list[StoreStat | None]:
        self.looked_up.update(cids)
        return await super().stat(cids)


class Renewed(Unmarked):
    """Marks of blocks that may be exchanged."""

    exchanged = False

    async def has_mark(self, value: bytes) -> bool:
        return not self.exchanged


BIG = tree(12, 3)


class Restarted:
    """A pin that is walked, cut off when `blocks` have come, and begun again over the same blocks."""

    def __init__(self, folder: Path) -> None:
        self.store = Reads()
        self.remote = RemoteBlocks(BIG)
        self.marks = Renewed()
        self.folder = folder
        self.told: list[PinProgress] = []

    def opened(self) -> AbstractAsyncContextManager[LocalPinner]:
        return open_local_pins(
            self.folder / "pins.db", Blocks(self.store, self.remote), self.marks, spacing=0
        )

    async def cut_off(self, blocks: int) -> None:
        reached = asyncio.Event()

        def note(progress: PinProgress) -> None:
            if progress.blocks >= blocks:
                reached.set()

        async with self.opened() as pinner:
            call = asyncio.create_task(pinner.pin(BIG[0].cid, recursive=True, hints=(), progress=note))
            await reached.wait()
            call.cancel()
            await asyncio.wait([call])

    async def looked_up(self) -> int:
        """Blocks, by the walk that ends it."""
        self.store.looked_up.clear()
        async with self.opened() as pinner:
            root = await pinner.pin(BIG[0].cid, recursive=True, hints=(), progress=self.told.append)
        size = sum(len(block.data) for block in BIG)
        assert root == PinnedRoot(BIG[0].cid, complete=True, recursive=True, blocks=len(BIG), bytes=size)
        assert await self.store.missing(cids(BIG)) == []
        assert len(self.remote.asked) <= len(BIG) + 256  # what was under way when it was cut off
        return len(self.store.looked_up)


async def test_after_a_restart_nothing_is_fetched_or_walked_again(tmp_path: Path) -> None:
    pin = Restarted(tmp_path)
    await pin.cut_off(1500)
    assert await pin.looked_up() < 500  # of 1885
    assert pin.told[0].blocks > 1400


async def test_over_other_blocks_the_whole_dag_is_walked(tmp_path: Path) -> None:
    pin = Restarted(tmp_path)
    await pin.cut_off(1500)
    pin.marks.exchanged = True
    assert await pin.looked_up() >= len(BIG)
    assert pin.told[0].blocks == 1


async def test_after_blocks_were_lost_the_whole_dag_is_walked(tmp_path: Path) -> None:
    pin = Restarted(tmp_path)
    await pin.cut_off(1500)
    async with pin.opened() as pinner:
        await pinner.lost()
    assert await pin.looked_up() >= len(BIG)


async def test_a_block_that_is_lost_behind_a_walk_comes_again_before_the_root_is_complete(
    pins: Pins,
) -> None:
    pins.remote.hold()
    await pins.store.put_many(TREE[:5])
    call = asyncio.create_task(pins.pin())
    await pins.remote.until_running(16)
    await pins.store.delete_many([TREE[1].cid])
    await pins.pinner.lost()
    pins.remote.released.set()
    assert (await call).complete
    assert await pins.store.missing(cids(TREE)) == []


async def test_progress_says_what_remains_and_how_fast_it_goes(tmp_path: Path) -> None:
    parts = leaves(600, size=1000)
    root = Block.of(dag_pb.encode(PBNode(tuple(PBLink(p.cid, "", 1000) for p in parts), None)), DAG_PB)
    told: list[PinProgress] = []
    blocks = Blocks(MemoryBlockstore(), RemoteBlocks([root, *parts]))
    async with open_local_pins(tmp_path / "pins.db", blocks) as pinner:
        await pinner.pin(root.cid, recursive=True, hints=(), progress=told.append)
    assert [told[0].remaining, told[-1].remaining] == [600_000, 0]
    assert [one.remaining for one in told] == [600_000 + len(root.data) - one.bytes for one in told]
    assert all(one.rate > 0 for one in told)
