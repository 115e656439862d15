"""What a block is to UnixFS: a raw leaf, or a dag-pb node with a message in its Data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from blockstore import dag_pb
from blockstore.block import Block
from blockstore.cid import CID, DAG_PB, RAW
from blockstore.dag_pb import REMEMBERED, REMEMBERED_BYTES, PBLink, PBNode
from blockstore.errors import BadBlock, NotUnixFS
from blockstore.unixfs.data import NodeType, UnixFSData

FILES = frozenset({NodeType.RAW, NodeType.FILE})
DIRECTORIES = frozenset({NodeType.DIRECTORY, NodeType.HAMT})


@dataclass(frozen=True, slots=True)
class UnixFSNode:
    """A decoded block. A raw leaf is a file node without links."""

    cid: CID
    pb: PBNode
    data: UnixFSData

    @property
    def links(self) -> tuple[PBLink, ...]:
        return self.pb.links

    @classmethod
    def of(cls, block: Block) -> UnixFSNode:
        """Raises NotUnixFS for another codec and for other dag-pb, BadBlock for garbage."""
        if block.cid.codec == RAW:
            return cls(block.cid, PBNode((), None), UnixFSData(NodeType.RAW, block.data, len(block.data)))
        if block.cid.codec != DAG_PB:
            raise NotUnixFS(f"{block.cid} is not a file or directory: its codec is 0x{block.cid.codec:x}")
        try:
            small = len(block.data) <= REMEMBERED_BYTES
            return cls(block.cid, *(_decoded_lately if small else _decoded)(block.data))
        except NotUnixFS as error:
            raise NotUnixFS(f"{block.cid} is a dag-pb node, but no file or directory: {error}") from None


def _decoded(data: bytes) -> tuple[PBNode, UnixFSData]:
    node = dag_pb.decode(data)
    try:
        return node, UnixFSData.decode(node.data or b"")
    except BadBlock as error:
        raise NotUnixFS(str(error)) from None


# Ranges of a file begin with the same node each time, and one request looks at it more than once.
_decoded_lately = lru_cache(REMEMBERED)(_decoded)
