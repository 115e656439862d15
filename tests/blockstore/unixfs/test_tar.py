from __future__ import annotations

import asyncio
import io
import tarfile
from pathlib import Path

import pytest
from support.dags import leaf
from support.importing import file, root_of
from support.sources import RecordingSource, joined, source_of

from blockstore.block import Block
from blockstore.cid import CID, DAG_PB
from blockstore.errors import BadPath, NotUnixFS
from blockstore.ipld import dag_pb
from blockstore.ipld.dag_pb import PBLink, PBNode
from blockstore.memory_store import MemoryBlockstore
from blockstore.path import ContentPath, resolve
from blockstore.unixfs.data import NodeType, UnixFSData
from blockstore.unixfs.importing.entries import MAX_LEVELS, Entry, SourceSymlink
from blockstore.unixfs.importing.options import ImportOptions
from blockstore.unixfs.tar import tar_stream

LONG = "x" * 150


def directory(*entries: tuple[str, Block]) -> Block:
    links = tuple(PBLink(block.cid, name, None) for name, block in entries)
    return Block.of(dag_pb.encode(PBNode(links, UnixFSData(NodeType.DIRECTORY).encode())), DAG_PB)


def symlink(target: str) -> Block:
    return Block.of(dag_pb.encode(PBNode((), UnixFSData(NodeType.SYMLINK, target.encode()).encode())), DAG_PB)


async def tree(options: ImportOptions) -> tuple[RecordingSource, CID]:
    store = MemoryBlockstore()
    entries: list[Entry] = [
        file("t/a.txt", b"hello"),
        file("t/empty"),
        file(f"t/sub/{LONG}/{LONG}", b"y" * 5000),
        file("t/日本/ñ", b"z" * 512),
        SourceSymlink("t/link", f"sub/{LONG}"),
    ]
    return RecordingSource(store), CID.parse(await root_of(entries, options, store))


def members(archive: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {member.name: member for member in opened}


@pytest.mark.parametrize("options", [ImportOptions(chunker="size-1000"), ImportOptions(hamt_threshold=1)])
async def test_a_tree_comes_back_out_of_its_archive(options: ImportOptions, tmp_path: Path) -> None:
    source, root = await tree(options)
    archive = tmp_path / "t.tar"
    archive.write_bytes(await joined(tar_stream(source, root, "top")))
    unpacking = await asyncio.create_subprocess_exec("tar", "-xf", archive, "-C", tmp_path)
    assert await unpacking.wait() == 0
    top = tmp_path / "top"
    assert (top / "a.txt").read_bytes() == b"hello"
    assert (top / "empty").read_bytes() == b""
    assert (top / "sub" / LONG / LONG).read_bytes() == b"y" * 5000
    assert (top / "日本" / "ñ").read_bytes() == b"z" * 512
    assert (top / "link").readlink() == Path("sub") / LONG
    assert sum(1 for _ in top.rglob("*")) == 8


async def deep(levels: int) -> tuple[RecordingSource, CID]:
    """A file in so many folders, under one that wraps them."""
    store = MemoryBlockstore()
    entries = [file("d/" * (levels - 1) + "f", b"deep")]
    return RecordingSource(store), CID.parse(await root_of(entries, ImportOptions(wrap=True), store))


async def test_what_may_be_added_at_all_comes_back() -> None:
    source, root = await deep(MAX_LEVELS)
    found = members(await joined(tar_stream(source, root, "top")))
    assert found["top/" + "d/" * (MAX_LEVELS - 1) + "f"].size == 4
    assert len(found) == MAX_LEVELS + 1
    path = ContentPath(root, ("d",) * (MAX_LEVELS - 1) + ("f",))
    assert (await source.get((await resolve(source, path)).cid)).data.endswith(b"deep\x18\x04")


async def test_a_foreign_tree_that_is_deeper_is_told_as_such() -> None:
    inner = Block.of(b"deep")
    blocks = [inner]
    for _ in range(MAX_LEVELS + 2):
        inner = directory(("d", inner))
        blocks.append(inner)
    with pytest.raises(BadPath, match="deeper than 256 directories"):
        await joined(tar_stream(await source_of(*blocks), inner.cid, "top"))


async def test_modes_and_times_are_the_recorded_ones() -> None:
    store = MemoryBlockstore()
    root = await root_of([file("f", b"x", mode=0o4751, mtime=(5, 250_000_000))], ImportOptions(), store)
    plain = members(await joined(tar_stream(RecordingSource(store), CID.parse(root), "f")))["f"]
    assert (plain.mode, plain.mtime) == (0o644, 0)
    options = ImportOptions(preserve_mode=True, preserve_mtime=True)
    root = await root_of([file("f", b"x", mode=0o4751, mtime=(5, 250_000_000))], options, store)
    kept = members(await joined(tar_stream(RecordingSource(store), CID.parse(root), "f")))["f"]
    assert (kept.mode, kept.mtime) == (0o4751, 5.25)


@pytest.mark.parametrize(("mtime", "text"), [((-1, 0), "-1"), ((-1, 250_000_000), "-0.750000000")])
async def test_times_before_1970_are_kept(mtime: tuple[int, int], text: str) -> None:
    message = UnixFSData(NodeType.FILE, filesize=0, mtime=mtime)
    block = Block.of(dag_pb.encode(PBNode((), message.encode())), DAG_PB)
    archive = await joined(tar_stream(await source_of(block), block.cid, "f"))
    assert members(archive)["f"].mtime == float(text)
    assert f"mtime={text}\n".encode() in archive


async def test_a_file_above_what_ustar_can_say_has_its_size_in_a_pax_record() -> None:
    size = 9 << 30
    big = UnixFSData(NodeType.FILE, filesize=size, blocksizes=(size,)).encode()
    block = Block.of(dag_pb.encode(PBNode((PBLink(leaf(1).cid, "", None),), big)), DAG_PB)
    stream = tar_stream(await source_of(block), block.cid, "big")
    header = await anext(stream)
    await stream.aclose()
    assert f"size={size}\n".encode() in header


async def test_a_single_file_and_its_padding_fill_whole_records() -> None:
    for size in (0, 1, 511, 512, 513):
        block = leaf(1, max(size, 8)) if size else Block.of(b"")
        archive = await joined(tar_stream(await source_of(block), block.cid, "f"))
        assert len(archive) % 512 == 0
        assert archive.endswith(bytes(1024))
        assert members(archive)["f"].size == len(block.data)


@pytest.mark.parametrize("name", ["../a", "..", ".", "", "a/b", "x/../../a", "a\0b", "../d", "../../top"])
async def test_an_entry_that_would_land_elsewhere_stops_the_archive(name: str) -> None:
    root = directory((name, leaf(1)))
    source = await source_of(root, leaf(1))
    with pytest.raises(BadPath, match="entry"):
        await joined(tar_stream(source, root.cid, "top"))


async def test_an_entry_may_lead_up_to_a_directory_that_it_is_in() -> None:
    inner = directory(("../file", leaf(1)))
    root = directory(("d", inner))
    source = await source_of(root, inner, leaf(1))
    assert list(members(await joined(tar_stream(source, root.cid, "top")))) == ["top", "top/d", "top/file"]


async def test_an_entry_cannot_pass_through_a_symlink_beside_it() -> None:
    root = directory(("s", symlink("/etc")), ("s/passwd", leaf(1)))
    source = await source_of(root, symlink("/etc"), leaf(1))
    with pytest.raises(BadPath):
        await joined(tar_stream(source, root.cid, "top"))


@pytest.mark.parametrize("name", ["", "..", "a/b", "."])
async def test_the_root_needs_a_plain_name(name: str) -> None:
    with pytest.raises(BadPath, match="root"):
        await joined(tar_stream(await source_of(leaf(1)), leaf(1).cid, name))


async def test_what_is_no_file_has_no_archive() -> None:
    block = Block.of(b"\xf6", 0x71)
    with pytest.raises(NotUnixFS):
        await joined(tar_stream(await source_of(block), block.cid, "f"))


async def test_small_files_are_fetched_several_at_a_time_and_large_ones_one_by_one() -> None:
    small = [leaf(n) for n in range(100)]
    links = tuple(PBLink(block.cid, f"{n:03}", len(block.data)) for n, block in enumerate(small))
    folder = Block.of(dag_pb.encode(PBNode(links, UnixFSData(NodeType.DIRECTORY).encode())), DAG_PB)
    source = await source_of(folder, *small)
    assert len(members(await joined(tar_stream(source, folder.cid, "t")))) == 101
    assert len(source.requests) < 12

    links = tuple(PBLink(link.cid, link.name, 3 * 1024 * 1024) for link in links)
    folder = Block.of(dag_pb.encode(PBNode(links, UnixFSData(NodeType.DIRECTORY).encode())), DAG_PB)
    source = await source_of(folder, *small)
    assert len(members(await joined(tar_stream(source, folder.cid, "t")))) == 101
    assert max(source.requests) == 2
