"""Walk a DAG: every block of it once, what is here by looking, what is missing by fetching many at a time.

1. Leaves (raw blocks) go before nodes, and the deepest nodes go first, so that little is known and not yet
   visited: about one node's links a level.
2. A page of them is looked up at once. What is here and cannot link is visited without being read.
3. Nodes that are here are read, and their links join the frontier.
4. What is missing is asked for in lists; when it comes, it is a node like the others.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from blockstore.block import Block
from blockstore.blocks import Blocks
from blockstore.cid import CID
from blockstore.common.grouped import grouped
from blockstore.ipld.visited import Visited, key_of
from blockstore.ipld.walk_fetches import Arrived, WalkFetches, open_fetches
from blockstore.ipld.walk_frontier import WalkFrontier, WalkStep
from blockstore.ipld.walk_state import WalkState

MAX_PENDING = 2_000_000  # some 400 MB; a DAG made by a tool has thousands

READ_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Visit:
    """A block of the DAG that is in the local store now. `size` in bytes; `depth` 0 is the root.

    `pending` counts the blocks that are known and not visited yet.
    """

    cid: CID
    size: int
    depth: int
    pending: int


async def walk(
    blocks: Blocks, root: CID, *, recursive: bool = True, max_pending: int = MAX_PENDING
) -> AsyncGenerator[Visit, None]:
    """Visit each block once, parents before children; the root alone where it is not recursive.

    What is missing is fetched and stored, so at the end the whole DAG is here. Close it
    (`contextlib.aclosing`) to withdraw its fetches. Memory and errors are those of `DagWalk`.
    """
    dag = DagWalk(blocks, root, recursive=recursive, max_pending=max_pending)
    async with aclosing(dag.pages()) as pages:
        async for page in pages:
            for visit in page:
                yield visit


class DagWalk:
    """One walk, in pages. `visited` and `bytes` count what was given of it; `root` is there once it was read.

    Memory: two bits a block of the store, about 250 bytes for each block that is known and not visited, and
    some 32 MiB of data.
    """

    def __init__(
        self,
        blocks: Blocks,
        root: CID,
        *,
        recursive: bool = True,
        max_pending: int = MAX_PENDING,
        state: WalkState | None = None,
    ) -> None:
        """`state`: where an earlier walk of that root was; it goes on there."""
        self._blocks = blocks
        self._recursive = recursive
        self._max_pending = max_pending
        self._frontier = WalkFrontier(max_pending)
        self._visited = state.visited() if state else Visited()
        self._asked: dict[bytes, WalkStep] = {}  # of those that are missing
        self.root: Block | None = None
        self.visited, self.bytes = (state.count, state.size) if state else (0, 0)
        self._frontier.restore(state.steps if state else [WalkStep(root, 0)])

    async def pages(self) -> AsyncGenerator[Sequence[Visit]]:
        """What is visited together. Close it to withdraw its fetches.

        Raises BlockNotFound, UnknownHash, StorageFull, BadBlock, UnknownCodec; DagTooLarge beyond 10 000
        levels and with more than `max_pending` blocks known and not visited.
        """
        async with open_fetches(self._blocks) as fetches:
            while self._frontier or fetches:
                if self._frontier and not fetches.crowded and (page := await self._look(fetches)):
                    yield page
                came = await fetches.arrived(wait=fetches.crowded or not self._frontier)
                if came and (page := await self._arrive(came)):
                    yield page

    async def state(self) -> WalkState:
        """Where it is, between two pages: all that was given is visited, all else is not."""
        await self._visited.settle(self._blocks.store)
        steps = [*self._frontier.steps(), *reversed(self._asked.values())]
        return WalkState.of(self._visited, steps, self.visited, self.bytes)

    async def _look(self, fetches: WalkFetches) -> list[Visit]:
        """Take a page: queue what is missing, open nodes that are here. What is here, and new."""
        page = self._frontier.take()
        here: list[tuple[WalkStep, int]] = []
        nodes: list[tuple[WalkStep, int]] = []
        for step, stat in zip(page, await self._blocks.store.stat([one.cid for one in page]), strict=True):
            if key_of(step.cid) in self._asked:  # under way, or stored already and not visited yet
                continue
            if stat is None:
                self._asked[key_of(step.cid)] = step
                fetches.add(step)
            elif not self._visited.has(step.cid, stat.number):
                self._visited.add(step.cid, stat.number)
                here.append((step, stat.size))
                if stat.links and self._recursive:
                    nodes.append((step, stat.size))
        for group in grouped(nodes, READ_BYTES):
            read = await self._blocks.get_many([step.cid for step in group])
            for step, block in zip(group, read, strict=True):
                await self._unfold(step, block)
        return self._visits(here)

    async def _arrive(self, came: Sequence[Arrived]) -> list[Visit]:
        for one in came:
            del self._asked[key_of(one.step.cid)]
            if one.block is not None and self._recursive:
                await self._unfold(one.step, one.block)
        await self._visited.add_stored([one.step.cid for one in came], self._blocks.store)
        return self._visits([(one.step, one.size) for one in came])

    async def _unfold(self, step: WalkStep, block: Block) -> None:
        if not step.depth:
            self.root = block
        await self._frontier.unfold(block, step.depth + 1)

    def _visits(self, found: Sequence[tuple[WalkStep, int]]) -> list[Visit]:
        self.visited += len(found)
        self.bytes += sum(size for _, size in found)
        pending = len(self._frontier) + len(self._asked)
        return [Visit(step.cid, size, step.depth, pending) for step, size in found]
