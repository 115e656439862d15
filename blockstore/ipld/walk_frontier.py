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


class WalkFrontier:
    """Leaves go before nodes, the deepest node first: little is known at once. Repeats are taken twice."""

    def __init__(self, max_pending: int) -> None:
        self._max_pending = max_pending
        self._leaves: list[WalkStep] = []
        self._nodes: list[WalkStep] = []

    def __len__(self) -> int:
        return len(self._leaves) + len(self._nodes)

    def steps(self) -> list[WalkStep]:
        """All of them, as `restore` takes them."""
        return [*self._nodes, *self._leaves]

    def restore(self, steps: Sequence[WalkStep]) -> None:
        for step in steps:
            (self._leaves if step.cid.codec == RAW else self._nodes).append(step)

    async def unfold(self, block: Block, depth: int) -> None:
        """Add the links of a node, of which there may be hundreds of thousands."""
        links = list(dict.fromkeys(await decoding.links(block)))
        async for part in decoding.turns(links):
            self.add(part, depth)

    def add(self, cids: Sequence[CID], depth: int) -> None:
        """Links of one node, or the last ones of those not yet added, in order. Raises DagTooLarge."""
        if depth > MAX_DEPTH:
            raise DagTooLarge(f"the DAG is deeper than {MAX_DEPTH} levels")
        steps = [WalkStep(cid, depth) for cid in reversed(cids)]  # taken from the end: the first link first
        self._leaves += (step for step in steps if step.cid.codec == RAW)
        self._nodes += (step for step in steps if step.cid.codec != RAW)
        if len(self) > self._max_pending:
            raise DagTooLarge(
                f"more than {self._max_pending} blocks of the DAG are linked to and not visited yet"
            )

    def take(self) -> list[WalkStep]:
        stack, limit = (self._leaves, _LEAVES_A_PAGE) if self._leaves else (self._nodes, _NODES_A_PAGE)
        page = stack[: -limit - 1 : -1]
        del stack[-limit:]
        return page
