"""What all written nodes share: how bytes get a CID, what is recorded besides content, what a parent sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from blockstore.block import MAX_BLOCK_BYTES, Block
from blockstore.cid import CID, DAG_PB, RAW
from blockstore.errors import BlockTooLarge
from blockstore.ipld import dag_pb
from blockstore.ipld.dag_pb import PBLink, PBNode
from blockstore.unixfs.data import NodeType, UnixFSData

Emit = Callable[[Block], None]
"""Where finished blocks go, children before parents."""


@dataclass(frozen=True, slots=True)
class FileMetadata:
    """What a node records of a file system entry; None where it is not stored (UnixFS 1.5).

    `mode` is the twelve permission bits, `mtime` seconds since 1970 (possibly negative) and nanoseconds.
    """

    mode: int | None = None
    mtime: tuple[int, int] | None = None


NO_STAT = FileMetadata()


@dataclass(frozen=True, slots=True)
class Child:
    """A finished DAG as its parent sees it: root, bytes of all its blocks, bytes of file content in it."""

    cid: CID
    tsize: int
    filesize: int = 0


@dataclass(frozen=True, slots=True)
class Namer:
    """How bytes get their CID. Blocks of at most `inline_limit` bytes lie in it themselves; None: none do."""

    cid_version: int = 0
    hash_name: str = "sha2-256"
    inline_limit: int | None = None

    def block(self, data: bytes, codec: int = DAG_PB) -> Block:
        """Only dag-pb under sha2-256 can have a CIDv0: raw leaves and inlined blocks are version 1 anyway.

        Raises BlockTooLarge.
        """
        if len(data) > MAX_BLOCK_BYTES:
            raise BlockTooLarge(f"a block of {len(data)} bytes: peers take at most {MAX_BLOCK_BYTES}")
        if self.inline_limit is not None and len(data) <= self.inline_limit:
            return Block.inline(CID.identity(codec, data))
        version = 1 if codec == RAW else self.cid_version
        return Block.of(data, codec, hash_name=self.hash_name, version=version)

    def node(self, data: UnixFSData, links: tuple[PBLink, ...] = ()) -> Block:
        """The dag-pb block of a UnixFS node."""
        return self.block(dag_pb.encode(PBNode(links, data.encode())))


def write_symlink(target: bytes, stat: FileMetadata, namer: Namer, emit: Emit) -> Child:
    """A symbolic link. Kubo records its time and not its mode; so do we."""
    block = namer.node(UnixFSData(NodeType.SYMLINK, target, mtime=stat.mtime))
    emit(block)
    return Child(block.cid, len(block.data))
