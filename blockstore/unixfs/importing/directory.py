"""Directories as nodes: one block with every entry, or a HAMT of blocks when that one would grow too large.

The size rule is judged over the finished directory: growing by one entry at a time, as Kubo's MFS does, comes
to the same, because a directory that is being written never shrinks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from blockstore.block import Block
from blockstore.errors import BadEntry
from blockstore.ipld import dag_pb
from blockstore.ipld.dag_pb import PBLink, PBNode
from blockstore.unixfs.data import MURMUR3_X64_64, NodeType, UnixFSData
from blockstore.unixfs.hamt import hash_value
from blockstore.unixfs.importing.nodes import NO_STAT, Child, Emit, FileMetadata, Namer

_HASH_BITS = 64

Estimation = Literal["links", "block", "disabled"]


@dataclass(frozen=True, slots=True)
class ShardingRule:
    """When a directory becomes a HAMT, and of what width.

    `threshold` in bytes (0: no limit) bounds, by `estimation`, the names and CIDs of its entries ("links"),
    its serialised block ("block"), or nothing ("disabled"). `max_links` bounds the number of entries.
    """

    threshold: int = 262144
    estimation: Estimation = "links"
    max_links: int = 0
    fanout: int = 256


@dataclass(frozen=True, slots=True)
class DirectoryNodes:
    """How directories are written, and where their blocks go."""

    namer: Namer
    rule: ShardingRule
    emit: Emit

    def write(self, entries: Mapping[str, Child], stat: FileMetadata) -> Child:
        """Raises BadEntry when more names share one hash than a HAMT can keep apart."""
        basic = None if self._shards_by_links(entries) else self._basic(entries, stat)
        if basic is not None and not (entries and self._shards_by_block(basic)):
            return self._emitted(self.namer.block(basic), entries.values())
        return _Shards(self).write(entries, stat)

    def _shards_by_links(self, entries: Mapping[str, Child]) -> bool:
        rule = self.rule
        if 0 < rule.max_links < len(entries):
            return True
        if rule.estimation != "links" or not rule.threshold:
            return False
        size = sum(len(_name_bytes(name)) + len(bytes(child.cid)) for name, child in entries.items())
        return size > rule.threshold

    def _shards_by_block(self, data: bytes) -> bool:
        return self.rule.estimation == "block" and 0 < self.rule.threshold < len(data)

    @staticmethod
    def _basic(entries: Mapping[str, Child], stat: FileMetadata) -> bytes:
        links = tuple(
            PBLink(entries[name].cid, name, entries[name].tsize) for name in sorted(entries, key=_name_bytes)
        )
        data = UnixFSData(NodeType.DIRECTORY, mode=stat.mode, mtime=stat.mtime)
        return dag_pb.encode(PBNode(links, data.encode()))

    def _emitted(self, block: Block, children: Iterable[Child]) -> Child:
        self.emit(block)
        return Child(block.cid, len(block.data) + sum(child.tsize for child in children))


def _name_bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class _Hashed:
    hash: int
    name: str
    child: Child


class _Shards:
    """Writes one HAMT: entries go to the bucket that the next bits of their name's hash say."""

    def __init__(self, nodes: DirectoryNodes) -> None:
        self._nodes = nodes
        self._fanout = nodes.rule.fanout
        self._bits = self._fanout.bit_length() - 1
        self._digits = len(f"{self._fanout - 1:X}")

    def write(self, entries: Mapping[str, Child], stat: FileMetadata) -> Child:
        hashed = [_Hashed(hash_value(name), name, child) for name, child in entries.items()]
        return self._shard(hashed, self._bits, stat)

    def _shard(self, entries: list[_Hashed], used: int, stat: FileMetadata) -> Child:
        """`used` counts the bits of the hash that are spent once this shard has picked its buckets."""
        if used > _HASH_BITS:
            raise BadEntry(f'"{entries[0].name}" and other names of its directory have one hash: rename one')
        links: list[PBLink] = []
        field = 0
        for bucket, members in sorted(self._buckets(entries, _HASH_BITS - used).items()):
            field |= 1 << bucket
            links.append(self._link(f"{bucket:0{self._digits}X}", members, used))
        data = UnixFSData(
            NodeType.HAMT,
            field.to_bytes((field.bit_length() + 7) // 8, "big"),
            hash_type=MURMUR3_X64_64,
            fanout=self._fanout,
            mode=stat.mode,
            mtime=stat.mtime,
        )
        block = self._nodes.namer.node(data, tuple(links))
        self._nodes.emit(block)
        return Child(block.cid, len(block.data) + sum(link.tsize or 0 for link in links))

    def _buckets(self, entries: list[_Hashed], shift: int) -> dict[int, list[_Hashed]]:
        buckets: dict[int, list[_Hashed]] = {}
        for entry in entries:
            buckets.setdefault(entry.hash >> shift & self._fanout - 1, []).append(entry)
        return buckets

    def _link(self, prefix: str, members: list[_Hashed], used: int) -> PBLink:
        if len(members) == 1:
            return PBLink(members[0].child.cid, prefix + members[0].name, members[0].child.tsize)
        shard = self._shard(members, used + self._bits, NO_STAT)
        return PBLink(shard.cid, prefix, shard.tsize)
