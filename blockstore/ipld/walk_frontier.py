"""The frontier of a walk: blocks that are known and not visited yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from blockstore.block import Block
from blockstore.cid import CID, RAW
from blockstore.errors import DagTooLarge
from blockstore.ipld import decoding

MAX_DEPTH = 10_000
_LEAVES_A_PAGE, _NODES_A_PAGE = 256, 64


class WalkStep(NamedTuple):
    cid: CID
    depth: int
    again: bool  # met before, on a longer way, below which a depth limit may have cut


class WalkFrontier:
    """Leaves go before nodes, the deepest node first. `limit`: levels below the root, None for all."""

    def __init__(self, limit: int | None, max_pending: int) -> None:
        self._limit = limit
        self._max_pending = max_pending
        self._depths: dict[bytes, int] = {}
        self._leaves: list[WalkStep] = []
        self._nodes: list[WalkStep] = []

    def __len__(self) -> int:
        return len(self._leaves) + len(self._nodes)

    def opens(self, step: WalkStep) -> bool:
        """Whether the links of that block are part of the walk."""
        return self._limit is None or step.depth < self._limit

    async def unfold(self, block: Block, depth: int) -> None:
        """Add the links of a node, of which there may be hundreds of thousands."""
        async for part in decoding.turns(await decoding.links(block)):
            self.add(part, depth)

    def add(self, cids: Sequence[CID], depth: int) -> None:
        """Links of one node, or the last ones of those not yet added, in order. Raises DagTooLarge."""
        if depth > MAX_DEPTH:
            raise DagTooLarge(f"the DAG is deeper than {MAX_DEPTH} levels")
        leaves: list[WalkStep] = []
        nodes: list[WalkStep] = []
        for cid in cids:
            key = _key(cid)
            known = self._depths.get(key)
            if known is not None and (self._limit is None or known <= depth):
                continue
            self._depths[key] = depth
            (leaves if cid.codec == RAW else nodes).append(WalkStep(cid, depth, known is not None))
        self._leaves += reversed(leaves)  # taken from the end: the first link first
        self._nodes += reversed(nodes)
        if len(self) > self._max_pending:
            raise DagTooLarge(
                f"more than {self._max_pending} blocks of the DAG are linked to and not visited yet"
            )

    def take(self) -> list[WalkStep]:
        stack, limit = (self._leaves, _LEAVES_A_PAGE) if self._leaves else (self._nodes, _NODES_A_PAGE)
        page = stack[: -limit - 1 : -1]
        del stack[-limit:]
        return page


def _key(cid: CID) -> bytes:
    """Sixteen bytes of the digest, and whether it may link: bytes may be raw here and a node there."""
    digest = cid.multihash if cid.is_identity else cid.multihash[-16:]
    return digest if cid.codec == RAW else digest + b"n"
