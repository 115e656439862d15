from __future__ import annotations

import pytest
from support.dags import leaf
from support.gateway import directory as directory_of
from support.importing import file, root_of
from support.sources import RecordingSource, source_of

from blockstore.block import Block
from blockstore.cid import CID, DAG_PB
from blockstore.errors import BadBlock, BlockNotFound, NoLink, NotUnixFS
from blockstore.ipld import dag_pb
from blockstore.ipld.dag_pb import PBLink, PBNode
from blockstore.memory_store import MemoryBlockstore
from blockstore.unixfs.data import MURMUR3_X64_64, NodeType, UnixFSData
from blockstore.unixfs.hamt import Shard, hash_value
from blockstore.unixfs.importing.options import ImportOptions
from blockstore.unixfs.listing import find_link, list_directory, lookup
from blockstore.unixfs.reader import describe, stat

NAMES = [f"name-{number}" for number in range(700)] + ["日本語", "ñ", "with space", "%2F"]


async def directory(options: ImportOptions) -> tuple[RecordingSource, CID]:
    """A folder with every name, one byte of content each."""
    store = MemoryBlockstore()
    root = await root_of([file(f"d/{name}", name.encode()) for name in NAMES], options, store)
    return RecordingSource(store), CID.parse(root)


SHARDED = [
    ImportOptions(hamt_threshold=1),
    ImportOptions(hamt_threshold=1, hamt_fanout=8),
    ImportOptions(hamt_threshold=1, hamt_fanout=1024, cid_version=1, raw_leaves=True),
]


async def names_in(source: RecordingSource, root: CID) -> list[str]:
    return [entry.name async for entry in list_directory(source, root)]


async def test_a_directory_of_one_block_is_listed_in_its_order() -> None:
    source, root = await directory(ImportOptions(hamt_threshold=0))
    source.asked.clear()
    assert await names_in(source, root) == sorted(NAMES, key=str.encode)
    assert source.asked == [root]


@pytest.mark.parametrize("options", SHARDED)
async def test_a_hamt_is_listed_in_the_order_of_its_hashes_without_touching_its_entries(
    options: ImportOptions,
) -> None:
    source, root = await directory(options)
    assert (await stat(source, root)).sharded
    source.asked.clear()
    listed = await names_in(source, root)
    assert listed == sorted(NAMES, key=hash_value)
    entries = {entry.cid async for entry in list_directory(source, root)}
    assert not entries & set(source.asked)
    assert len(source.requests) < len(source.asked)  # shards come several at a time


async def test_shards_below_shards_are_fetched_many_at_a_time() -> None:
    source, root = await directory(ImportOptions(hamt_threshold=1, hamt_fanout=8))
    source.asked.clear()
    source.requests.clear()
    assert len(await names_in(source, root)) == len(NAMES)
    assert len(source.asked) > 100
    assert len(source.requests) < len(source.asked) / 6


@pytest.mark.parametrize("options", [ImportOptions(hamt_threshold=0), *SHARDED])
async def test_an_entry_is_found_by_name(options: ImportOptions) -> None:
    source, root = await directory(options)
    listed = {entry.name: entry async for entry in list_directory(source, root)}
    for name in NAMES[::20]:
        assert await lookup(source, root, name) == listed[name]
    for absent in ("", "nope", "Name-1", "name-1 "):
        with pytest.raises(NoLink) as raised:
            await lookup(source, root, absent)
        assert raised.value.name == absent


async def test_a_lookup_reads_exactly_the_shards_on_the_way() -> None:
    source, root = await directory(ImportOptions(hamt_threshold=1, hamt_fanout=8))
    block = await source.get(root)
    for name in ("name-3", "name-300", "日本語"):
        source.asked.clear()
        found = await find_link(source, block, name)
        assert found.link is not None
        assert list(found.shards) == source.asked
        assert 1 <= len(found.shards) <= 5
        assert found.link.cid not in source.asked


async def test_a_listing_starts_before_all_shards_are_here() -> None:
    source, root = await directory(ImportOptions(hamt_threshold=1))
    last = [
        link.cid for link in dag_pb.decode((await source.get(root)).data).links if len(link.name or "") == 2
    ][-1]
    await source.store.delete_many([last])
    listed: list[str] = []

    async def list_all() -> None:
        async for entry in list_directory(source, root):
            listed.append(entry.name)

    with pytest.raises(BlockNotFound):
        await list_all()
    assert len(listed) > 600


async def test_names_that_are_not_utf8_are_kept_and_found() -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    root = Block.of(
        dag_pb.encode(PBNode((PBLink(leaf(1).cid, name, 3),), UnixFSData(NodeType.DIRECTORY).encode())),
        DAG_PB,
    )
    source = await source_of(root)
    assert await names_in(source, root.cid) == [name]
    assert (await lookup(source, root.cid, name)).cid == leaf(1).cid


async def test_a_file_is_not_listed() -> None:
    source = await source_of(leaf(1))
    with pytest.raises(NotUnixFS):
        await names_in(source, leaf(1).cid)
    with pytest.raises(NotUnixFS):
        await lookup(source, leaf(1).cid, "a")


def shard(links: list[tuple[str, CID]], *, fanout: int = 256, hash_type: int = MURMUR3_X64_64) -> Block:
    data = UnixFSData(NodeType.HAMT, b"\x01", hash_type=hash_type, fanout=fanout)
    node = PBNode(tuple(PBLink(cid, name, None) for name, cid in links), data.encode())
    return Block.of(dag_pb.encode(node), DAG_PB)


BUCKET = f"{hash_value('a') >> 56:02X}"
OTHER = f"{hash_value('a') >> 56 ^ 1:02X}"


@pytest.mark.parametrize(
    ("root", "reason"),
    [
        (shard([], hash_type=0x12), "hash function"),
        (shard([], fanout=0), "fanout"),
        (shard([], fanout=257), "fanout"),
        (shard([], fanout=1 << 20), "fanout"),
        (shard([(OTHER + "a", leaf(1).cid)]), "bucket"),
        (shard([("a", leaf(1).cid)]), "bucket"),
        (shard([("00", leaf(1).cid)]), "not a shard"),
        (shard([("00", shard([], fanout=256).cid)]), "empty shard"),
        (shard([("00", shard([("0", leaf(1).cid)], fanout=16).cid)]), "not a shard"),
    ],
)
async def test_a_broken_hamt_is_refused(root: Block, reason: str) -> None:
    children = [leaf(1), shard([], fanout=256), shard([("0", leaf(1).cid)], fanout=16)]
    source = await source_of(root, *children)
    with pytest.raises(BadBlock, match=reason):
        await names_in(source, root.cid)


async def test_shards_that_repeat_one_another_are_refused_at_once() -> None:
    """Eight blocks that claim 256 ** 7 entries."""
    blocks = [shard([(BUCKET + "a", leaf(1).cid)])]
    for _ in range(7):
        blocks.append(shard([(f"{number:02X}", blocks[-1].cid) for number in range(256)]))
    source = await source_of(*blocks)
    with pytest.raises(BadBlock, match="bucket"):
        await names_in(source, blocks[-1].cid)
    assert len(source.requests) < 20


async def test_a_hamt_deeper_than_a_hash_is_refused() -> None:
    name = [f"{byte:02X}" for byte in hash_value("a").to_bytes(8, "big")]
    block = shard([(name[7] + "a", leaf(1).cid)])
    blocks = [block]
    for prefix in reversed(name[:7]):
        block = shard([(prefix, block.cid)])
        blocks.append(block)
    source = await source_of(*blocks)
    assert (await lookup(source, block.cid, "a")).cid == leaf(1).cid
    top = shard([(name[0], block.cid)])
    await source.store.put_many([top])
    with pytest.raises(BadBlock):
        await names_in(source, top.cid)


def test_buckets_take_the_hash_from_its_first_bit() -> None:
    value = hash_value("file1")
    for fanout, bits in ((8, 3), (16, 4), (256, 8), (1024, 10)):
        for level in (0, 1, 2):
            index = value >> 64 - bits * (level + 1) & fanout - 1
            digits = len(f"{fanout - 1:X}")
            assert Shard((), fanout, level, digits).bucket("file1") == f"{index:0{digits}X}"


async def test_a_large_directory_in_one_block_is_outlined_as_it_is_listed() -> None:
    entries = {f"photo {index:05}.jpeg": leaf(index).cid for index in range(3000)}
    block = directory_of(entries)
    assert len(block.data) > dag_pb.REMEMBERED_BYTES
    info = describe(block)
    source = await source_of(block)
    listed = [entry async for entry in list_directory(source, block.cid)]
    assert info.links == len(listed) == 3000
    assert info.cumulative == len(block.data) + sum(entry.tsize or 0 for entry in listed)
