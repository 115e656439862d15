from __future__ import annotations

import pytest

from blockstore.block import Block
from blockstore.cid import RAW
from blockstore.errors import BadEntry, BlockTooLarge
from blockstore.ipld import dag_pb
from blockstore.unixfs.data import NodeType, UnixFSData
from blockstore.unixfs.hamt import hash_value
from blockstore.unixfs.importing.directory import DirectoryNodes, Estimation, ShardingRule
from blockstore.unixfs.importing.nodes import NO_STAT, Child, FileMetadata, Namer

LEAF = Child(Namer(cid_version=1).block(b"x", RAW).cid, 1, 1)  # a CID of 36 bytes
_MASK = (1 << 64) - 1


def written(names: list[str], rule: ShardingRule, stat: FileMetadata = NO_STAT) -> list[Block]:
    """The blocks of a directory whose entries all are one small file, its root last."""
    blocks: list[Block] = []
    child = DirectoryNodes(Namer(cid_version=1), rule, blocks.append).write(dict.fromkeys(names, LEAF), stat)
    assert blocks[-1].cid == child.cid
    assert child.tsize == sum(len(block.data) for block in blocks) + len(names)
    return blocks


def kind(block: Block) -> UnixFSData:
    return UnixFSData.decode(dag_pb.decode(block.data).data or b"")


def is_flat(names: list[str], rule: ShardingRule) -> bool:
    return kind(written(names, rule)[-1]).type == NodeType.DIRECTORY


@pytest.mark.parametrize(
    ("estimation", "size"),
    [("links", 3 * (36 + 4)), ("block", 3 * (2 + 38 + 6 + 2) + 4)],
)
def test_a_directory_is_flat_up_to_its_threshold(estimation: Estimation, size: int) -> None:
    names = ["aaaa", "bbbb", "cccc"]
    assert is_flat(names, ShardingRule(size, estimation))
    assert not is_flat(names, ShardingRule(size - 1, estimation))
    assert is_flat(names, ShardingRule(size - 1, "disabled"))
    assert is_flat(names, ShardingRule(0, estimation))


def test_the_number_of_entries_can_be_limited() -> None:
    assert is_flat(["a", "b"], ShardingRule(max_links=2))
    assert not is_flat(["a", "b", "c"], ShardingRule(max_links=2, estimation="disabled"))


@pytest.mark.parametrize("estimation", ["links", "block"])
def test_an_empty_directory_is_always_flat(estimation: Estimation) -> None:
    assert is_flat([], ShardingRule(1, estimation))


def test_names_are_in_byte_order() -> None:
    names = ["z", "ä", "🚀", "\uffee", "B", "a", "\udcff"]
    (block,) = written(names, ShardingRule())
    stored = [link.name or "" for link in dag_pb.decode(block.data).links]
    assert stored == ["B", "a", "z", "ä", "\uffee", "🚀", "\udcff"]


@pytest.mark.parametrize(("fanout", "digits"), [(8, 1), (16, 1), (32, 2), (256, 2), (512, 3), (1024, 3)])
def test_shards_place_names_by_the_bits_of_their_hash(fanout: int, digits: int) -> None:
    names = [f"name{n}" for n in range(500)]
    blocks = written(names, ShardingRule(1, fanout=fanout), FileMetadata(0o700, (1, 2)))
    by_cid = {block.cid: block for block in blocks}
    bits = fanout.bit_length() - 1
    found: list[str] = []

    def visit(block: Block, depth: int) -> None:
        node = dag_pb.decode(block.data)
        data = kind(block)
        assert (data.type, data.hash_type, data.fanout) == (NodeType.HAMT, 0x22, fanout)
        assert (data.mode, data.mtime) == ((0o700, (1, 2)) if depth == 0 else (None, None))
        buckets = [int((link.name or "")[:digits], 16) for link in node.links]
        assert buckets == sorted(set(buckets))
        assert int.from_bytes(data.data or b"", "big") == sum(1 << bucket for bucket in buckets)
        for link, bucket in zip(node.links, buckets, strict=True):
            name = (link.name or "")[digits:]
            if name:
                hashed = hash_value(name)
                assert hashed >> 64 - bits * (depth + 1) & fanout - 1 == bucket
                found.append(name)
            else:
                visit(by_cid[link.cid], depth + 1)

    visit(blocks[-1], 0)
    assert sorted(found) == sorted(names)


def test_names_that_share_one_hash_are_refused() -> None:
    first, second = colliding_names()
    assert first != second
    assert hash_value(first) == hash_value(second)
    assert is_flat([first, second], ShardingRule())
    with pytest.raises(BadEntry, match="one hash"):
        written([first, second], ShardingRule(1))


def colliding_names() -> tuple[str, str]:
    """Two names with one murmur3: differences in the highest bit cancel over two blocks of 16 bytes."""
    first = b"sixteen bytes...and sixteen more"
    words = [int.from_bytes(first[at : at + 8], "little") for at in range(0, 32, 8)]
    words[0] = _unmixed(_mixed(words[0], 31, _C1, _C2) ^ 1 << 36, 31, _C1, _C2)
    words[1] = _unmixed(_mixed(words[1], 33, _C2, _C1) ^ 1 << 32, 33, _C2, _C1)
    words[2] = _unmixed(_mixed(words[2], 31, _C1, _C2) ^ 1 << 63, 31, _C1, _C2)
    second = b"".join(word.to_bytes(8, "little") for word in words)
    return first.decode(), second.decode("utf-8", "surrogateescape")


_C1, _C2 = 0x87C37B91114253D5, 0x4CF5AD432745937F  # murmur3's constants


def _rotated(word: int, by: int) -> int:
    return (word << by | word >> 64 - by) & _MASK


def _mixed(word: int, by: int, before: int, after: int) -> int:
    return _rotated(word * before & _MASK, by) * after & _MASK


def _unmixed(word: int, by: int, before: int, after: int) -> int:
    return _rotated(word * pow(after, -1, 1 << 64) & _MASK, 64 - by) * pow(before, -1, 1 << 64) & _MASK


def test_a_flat_directory_too_large_for_one_block_is_refused() -> None:
    names = [f"{n:0200}" for n in range(9000)]
    with pytest.raises(BlockTooLarge):
        written(names, ShardingRule(0))
