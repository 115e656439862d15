"""Walk a DAG: every block of it once, what is here by looking, what is missing by fetching many at a time.

1. Leaves (raw blocks) go before nodes, and the deepest nodes go first, so that little is known and not yet
   visited: about one node's links a level.
2. A page of them is looked up at once. What is here and cannot link is visited without being read.
3. Nodes that are here are read, and their links join the frontier.
4. What is missing waits for a place among the fetches in flight; when it comes, it is a node like the others.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from blockstore.blocks import Blocks
from blockstore.cid import CID
from blockstore.common.grouped import grouped
from blockstore.ipld.walk_fetches import WalkFetches, open_fetches
from blockstore.ipld.walk_frontier import WalkFrontier, WalkStep

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
    blocks: Blocks, root: CID, *, depth: int | None = None, max_pending: int = MAX_PENDING
) -> AsyncGenerator[Visit, None]:
    """Visit each block once, to `depth` levels below the root (None: all), parents before children.

    What is missing is fetched and stored, so at the end the whole DAG is here. Memory: about 150 bytes a
    block of the DAG, to know what was seen, and some 32 MiB of data. Close it (`contextlib.aclosing`) to
    withdraw its fetches.
    Raises BlockNotFound, UnknownHash, StorageFull, BadBlock, UnknownCodec; DagTooLarge beyond 10 000 levels
    and with more than `max_pending` blocks known and not visited.
    """
    frontier = WalkFrontier(depth, max_pending)
    frontier.add([root], 0)
    async with open_fetches(blocks) as fetches:
        while frontier or fetches:
            if frontier and not fetches.crowded:
                for step, size in await _look(blocks, frontier, fetches):
                    yield Visit(step.cid, size, step.depth, len(frontier) + len(fetches))
            for step, size, block in await fetches.arrived(wait=fetches.crowded or not frontier):
                if block is not None and frontier.opens(step):
                    await frontier.unfold(block, step.depth + 1)
                if not step.again:
                    yield Visit(step.cid, size, step.depth, len(frontier) + len(fetches))


async def _look(blocks: Blocks, frontier: WalkFrontier, fetches: WalkFetches) -> list[tuple[WalkStep, int]]:
    """Take a page: queue what is missing, open nodes that are here. What is here, with its sizes."""
    page = frontier.take()
    here: list[tuple[WalkStep, int]] = []
    nodes: list[tuple[WalkStep, int]] = []
    for step, stat in zip(page, await blocks.store.stat([step.cid for step in page]), strict=True):
        if stat is None:
            fetches.add(step)
            continue
        here.append((step, stat.size))
        if stat.links and frontier.opens(step):
            nodes.append((step, stat.size))
    for group in grouped(nodes, READ_BYTES):
        read = await blocks.get_many([step.cid for step in group])
        for step, block in zip(group, read, strict=True):
            await frontier.unfold(block, step.depth + 1)
    return [(step, size) for step, size in here if not step.again]
