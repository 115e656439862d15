"""What a block is to UnixFS: a raw leaf, or a dag-pb node with a message in its Data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from blockstore.block import Block
from blockstore.cid import CID, DAG_PB, RAW
from blockstore.errors import BadBlock, NotUnixFS
from blockstore.ipld import dag_pb
from blockstore.ipld.dag_pb import REMEMBERED, REMEMBERED_BYTES, PBLink, PBNode
from blockstore.ipld.decoding import beside
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
        small = len(block.data) <= REMEMBERED_BYTES
        pb, data = (_decoded_lately if small else _decoded)(block.data)
        return cls(block.cid, pb, _unixfs(block.cid, data))


async def node_of(block: Block) -> UnixFSNode:
    """As `UnixFSNode.of`, without keeping the event loop."""
    return await beside(UnixFSNode.of, block)


@dataclass(frozen=True, slots=True)
class Outline:
    """What a block says of itself; of its links only their number, and the bytes that they claim together."""

    cid: CID
    data: UnixFSData
    links: int
    tsize: int

    @classmethod
    def of(cls, block: Block) -> Outline:
        """A directory of ten thousand names is looked at without decoding each. Raises as `UnixFSNode.of`."""
        if block.cid.codec == DAG_PB and len(block.data) > REMEMBERED_BYTES:
            body, links, tsize = dag_pb.totals(block.data)
            return cls(block.cid, _unixfs(block.cid, message(body)), links, tsize)
        node = UnixFSNode.of(block)
        return cls(block.cid, node.data, len(node.links), sum(link.tsize or 0 for link in node.links))


def _decoded(data: bytes) -> tuple[PBNode, UnixFSData | BadBlock]:
    node = dag_pb.decode(data)
    return node, message(node.data)


def message(data: bytes | None) -> UnixFSData | BadBlock:
    """A node's Data read as UnixFS. What it is not is returned as a value, to be kept as a message is."""
    try:
        return UnixFSData.decode(data or b"")
    except BadBlock as error:
        return error.with_traceback(None)


def _unixfs(cid: CID, message: UnixFSData | BadBlock) -> UnixFSData:
    if isinstance(message, BadBlock):
        raise NotUnixFS(f"{cid} is a dag-pb node, but no file or directory: {message}")
    return message


# Ranges of a file begin with the same node each time, and one request looks at it more than once.
_decoded_lately = lru_cache(REMEMBERED)(_decoded)
