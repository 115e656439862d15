from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest
from support.importing import file, import_all, one_by_one, pieces, root_of

from blockstore.block import Block
from blockstore.cid import DAG_PB
from blockstore.errors import BadEntry, StorageFull, UnreadableFile
from blockstore.ipld import dag_pb
from blockstore.memory_store import MemoryBlockstore
from blockstore.unixfs.data import NodeType, UnixFSData
from blockstore.unixfs.importing.entries import (
    MAX_LEVELS,
    Entry,
    LocalFile,
    SourceDirectory,
    SourceFile,
    SourceSymlink,
)
from blockstore.unixfs.importing.importer import import_entries
from blockstore.unixfs.importing.ingest import GROUP_BLOCKS, GROUP_BYTES, ImportedEntry
from blockstore.unixfs.importing.options import ImportFlags, profile, resolve

V0 = profile("unixfs-v0-2015")
WRAP = resolve(V0, ImportFlags(wrap=True))


class WatchedSink:
    """Remembers what came in and how many calls were going on at once; can be made to fail, or to wait."""

    def __init__(self) -> None:
        self.groups: list[list[Block]] = []
        self.running = 0
        self.most_running = 0
        self.fail_at = -1
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()

    async def put_many(self, blocks: Sequence[Block]) -> None:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.asked.set()
        try:
            await self.gate.wait()
            if len(self.groups) == self.fail_at:
                raise StorageFull("full")
            self.groups.append(list(blocks))
        finally:
            self.running -= 1

    def cids(self) -> list[str]:
        return [str(block.cid) for group in self.groups for block in group]


def names(added: list[ImportedEntry]) -> list[str]:
    return [one.name for one in added]


async def test_files_come_as_they_finish_then_folders_the_outermost_last() -> None:
    entries: list[Entry] = [
        SourceDirectory("top"),
        file("top/b/x", b"1"),
        file("top/a/y", b"2"),
        SourceSymlink("top/link", "a/y"),
    ]
    added = await import_all(entries, V0)
    assert names(added) == ["top/b/x", "top/a/y", "top/link", "top/a", "top/b", "top"]
    assert [one.kind for one in added] == ["file", "file", "symlink", "directory", "directory", "directory"]
    assert [one.bytes for one in added] == [1, 1, 0, 0, 0, 0]


async def test_wrapping_puts_everything_under_one_unnamed_folder() -> None:
    added = await import_all([file("a", b"1"), file("d/b", b"2")], WRAP)
    assert names(added) == ["a", "d/b", "d", ""]
    alone = await import_all([file("a", b"1"), file("d/b", b"2")], V0)
    assert names(alone) == ["a", "d/b", "d"]


async def test_a_file_without_a_name_goes_by_its_cid() -> None:
    (added,) = await import_all([file("", b"hello world")], V0)
    assert added.name == str(added.cid) == "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD"
    assert names(await import_all([file("", b"hello world")], WRAP)) == [added.name, ""]


async def test_the_order_of_entries_does_not_change_the_root() -> None:
    def tree() -> list[Entry]:
        return [file(f"t/{name}", name.encode()) for name in ("a/b/c", "a/d", "e", "f/g", "ü", "z")]

    roots = set()
    for seed in range(5):
        entries = tree()
        random.Random(seed).shuffle(entries)
        roots.add(await root_of(entries, V0))
    assert len(roots) == 1


async def test_blocks_are_stored_before_what_links_to_them_is_given() -> None:
    sink = WatchedSink()
    data = [random.Random(n).randbytes(900_000) for n in range(12)]
    entries = one_by_one([file(f"d/{n}", one) for n, one in enumerate(data)])
    async for added in import_entries(entries, sink, V0):
        assert str(added.cid) in sink.cids()
    seen: set[bytes] = set()
    for group in sink.groups:
        for block in group:
            if block.cid.codec == DAG_PB:
                assert {link.cid.multihash for link in dag_pb.decode(block.data).links} <= seen
            seen.add(block.cid.multihash)


async def test_one_transaction_at_a_time_of_a_bounded_size() -> None:
    sink = WatchedSink()
    many = [file(f"d/{n}", b"%d" % n) for n in range(3000)]
    large = file("d/large", *[random.Random(n).randbytes(1 << 20) for n in range(15)])
    await import_all([*many, large], V0, sink)
    assert sink.most_running == 1
    assert len(sink.cids()) == 3000 + 60 + 1 + 1
    assert max(len(group) for group in sink.groups) <= GROUP_BLOCKS + 1
    assert max(sum(len(block.data) for block in group) for group in sink.groups) < GROUP_BYTES + 300_000


async def test_a_slow_store_holds_back_reading() -> None:
    sink = WatchedSink()
    sink.gate.clear()
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            given += 1
            yield bytes(1 << 20)

    async with aclosing(import_entries(one_by_one([SourceFile("f", endless())]), sink, V0)) as imported:
        first = asyncio.ensure_future(anext(imported))
        await sink.asked.wait()
        await asyncio.wait([first], timeout=0.3)
        assert given <= 4 * GROUP_BYTES >> 20
        first.cancel()
        await asyncio.wait([first])
    assert not sink.running


async def test_a_full_store_ends_the_import_with_its_error() -> None:
    sink = WatchedSink()
    sink.fail_at = 1
    with pytest.raises(StorageFull):
        await import_all([file(f"d/{n}", bytes([n]) * (1 << 20)) for n in range(20)], V0, sink)
    assert not sink.running


async def test_a_broken_upload_ends_the_import_with_its_error() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"some"
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        await import_all([SourceFile("f", broken())], V0)


async def test_leaving_early_leaves_nothing_running() -> None:
    sink = WatchedSink()
    entries = one_by_one([file(f"d/{n}", bytes(100_000)) for n in range(200)])
    async with aclosing(import_entries(entries, sink, V0)) as imported:
        async for _ in imported:
            break
    assert not sink.running
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_inlined_blocks_do_not_reach_the_store() -> None:
    sink = WatchedSink()
    inlining = resolve(V0, ImportFlags(cid_version=1, inline=True))
    (added,) = await import_all([file("f", b"x" * 32)], inlining, sink)
    assert added.cid.is_identity
    assert sink.cids() == []
    await import_all([file("f", b"x" * 33)], inlining, sink)
    assert len(sink.cids()) == 1


async def test_progress_tells_bytes_of_files_being_read_and_done() -> None:
    told: list[tuple[str, int]] = []
    entries = one_by_one([file("a", *[bytes(1 << 20)] * 9), file("b", b"12")])
    added = [one async for one in import_entries(entries, WatchedSink(), V0, lambda *seen: told.append(seen))]
    assert names(added) == ["a", "b"]
    assert told[-2:] == [("a", 9 << 20), ("b", 2)]
    assert told == sorted(told)
    assert len(told) > 3


@pytest.mark.parametrize(
    "paths",
    [
        ["a", "a"],
        ["a", "a/b"],
        ["a/b", "a"],
        ["/a"],
        ["a//b"],
        ["a/../b"],
        ["."],
        ["a/"],
        ["x/" * 9000 + "y"],
    ],
)
async def test_paths_with_no_place_in_the_tree_are_refused(paths: list[str]) -> None:
    with pytest.raises(BadEntry):
        await import_all([file(path, b"") for path in paths], WRAP)


async def test_a_folder_may_be_named_before_or_after_what_is_in_it() -> None:
    before: list[Entry] = [SourceDirectory("d", 0o700), file("d/f", b"1")]
    after: list[Entry] = [file("d/f", b"1"), SourceDirectory("d", 0o700)]
    keeping = resolve(V0, ImportFlags(preserve_mode=True))
    assert await root_of(before, keeping) == await root_of(after, keeping) != await root_of(before, V0)


async def test_what_lies_too_deep_to_be_read_back_is_refused_before_it_is_stored() -> None:
    deepest = "d/" * (MAX_LEVELS - 1) + "f"
    assert await root_of([file(deepest, b"deep")], V0)
    store = MemoryBlockstore()
    with pytest.raises(BadEntry, match="257 levels deep: at most 256"):
        await import_all([file(f"d/{deepest}", bytes(10_000_000))], WRAP, store)
    with pytest.raises(BadEntry, match="levels deep"):
        await import_all([SourceDirectory(f"d/{deepest}")], WRAP, store)
    assert (await store.usage()).blocks == 0


async def test_empty_folders_can_be_left_out_but_the_outermost() -> None:
    without = resolve(V0, ImportFlags(empty_dirs=False))
    entries: list[Entry] = [SourceDirectory("t/empty"), SourceDirectory("t/d/empty"), file("t/f", b"1")]
    assert names(await import_all(entries, without)) == ["t/f", "t/d", "t"]
    assert names(await import_all([SourceDirectory("t")], without)) == ["t"]


async def test_modes_and_times_are_kept_only_when_asked_for() -> None:
    store = MemoryBlockstore()
    entries: list[Entry] = [
        SourceDirectory("d", 0o750, (7, 0)),
        file("d/f", b"1", mode=0o640, mtime=(-3, 9)),
        SourceSymlink("d/l", "f", (5, 0)),
    ]
    keeping = resolve(V0, ImportFlags(preserve_mode=True, preserve_mtime=True))
    stats = {}
    for added in await import_all(entries, keeping, store):
        data = UnixFSData.decode(dag_pb.decode((await store.get(added.cid)).data).data or b"")
        stats[data.type] = (data.mode, data.mtime)
    assert stats[NodeType.FILE] == (0o640, (-3, 9))
    assert stats[NodeType.DIRECTORY] == (0o750, (7, 0))
    assert stats[NodeType.SYMLINK] == (None, (5, 0))
    assert await root_of([file("f", b"1", mode=0o640)], V0) == await root_of([file("f", b"1")], V0)


async def test_a_local_file_gives_the_same_cid_as_its_upload(tmp_path: Path) -> None:
    for size in (0, 1, 262144, 262145, 5 << 20):
        data = random.Random(size).randbytes(size)
        path = tmp_path / str(size)
        path.write_bytes(data)
        for claimed in (size, size // 2, size + 10):  # files grow and shrink after they were looked at
            local = SourceFile("f", LocalFile(str(path), claimed))
            assert await root_of([local], V0) == await root_of([SourceFile("f", pieces([data]))], V0)


async def test_a_file_that_vanishes_before_it_is_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gone"
    with pytest.raises(UnreadableFile, match="vanished") as caught:
        await import_all([SourceFile("f", LocalFile(str(path), 5))], V0)
    assert caught.value.path == str(path)


async def test_a_folder_or_pipe_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="no longer a regular file"):
        await import_all([SourceFile("f", LocalFile(str(tmp_path), 5))], V0)


async def test_what_is_whole_does_not_wait_for_a_source_that_pauses() -> None:
    goes_on = asyncio.Event()

    async def entries() -> AsyncIterator[Entry]:
        yield SourceFile("d/a", pieces([b"first"]))
        yield SourceFile("d/b", pieces([b"second"]))
        await goes_on.wait()
        yield SourceFile("d/c", pieces([b"third"]))

    async with aclosing(import_entries(entries(), MemoryBlockstore(), V0)) as results:
        assert [(await anext(results)).name for _ in range(2)] == ["d/a", "d/b"]
        goes_on.set()
        assert [added.name async for added in results] == ["d/c", "d"]


async def test_a_full_store_is_told_while_the_source_pauses() -> None:
    sink = WatchedSink()
    sink.fail_at = 0

    async def entries() -> AsyncIterator[Entry]:
        yield SourceFile("a", pieces([b"first"]))
        await asyncio.Event().wait()

    async with aclosing(import_entries(entries(), sink, V0)) as results:
        with pytest.raises(StorageFull):
            await anext(results)
