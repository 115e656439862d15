"""Walk a DAG: every block of it once, what is here by looking, what is missing by fetching many at a time.

1. Leaves (raw blocks) go before nodes, and the deepest nodes go first, so that little is known and not yet
   visited: about one node's links a level.
2. A page of them is looked up at once. What is here and cannot link is visited without being read.
3. Nodes that are here are read, and their links join the frontier.
4. What is missing waits for a place among the fetches in flight; when it comes, it is a node like the others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

from blockstore.block import Block
from blockstore.blocks import Blocks
from blockstore.cid import CID, RAW
from blockstore.errors import DagTooLarge
from blockstore.ipld import decoding

T = TypeVar("T")

MAX_DEPTH = 10_000
MAX_PENDING = 2_000_000  # some 400 MB; a DAG made by a tool has thousands

_LEAVES_A_PAGE, _NODES_A_PAGE = 256, 64
READ_BYTES = 16 * 1024 * 1024
_FLIGHT_BYTES = 32 * 1024 * 1024
_NODES_IN_FLIGHT = 64
_LEAVES_IN_FLIGHT = (16, 256)
_WAITING = 64


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
    frontier = _Frontier(depth, max_pending)
    frontier.add([root], 0)
    async with _flight(blocks) as fetches:
        while frontier or fetches:
            if frontier and not fetches.crowded:
                for step, size in await _look(blocks, frontier, fetches):
                    yield Visit(step.cid, size, step.depth, len(frontier) + len(fetches))
            for step, block in await fetches.arrived(wait=fetches.crowded or not frontier):
                if frontier.opens(step):
                    await frontier.unfold(block, step.depth + 1)
                if not step.again:
                    yield Visit(step.cid, len(block.data), step.depth, len(frontier) + len(fetches))


async def _look(blocks: Blocks, frontier: _Frontier, fetches: _Fetches) -> list[tuple[_WalkStep, int]]:
    """Take a page: queue what is missing, open nodes that are here. What is here, with its sizes."""
    page = frontier.take()
    here: list[tuple[_WalkStep, int]] = []
    nodes: list[tuple[_WalkStep, int]] = []
    for step, stat in zip(page, await blocks.store.stat([step.cid for step in page]), strict=True):
        if stat is None:
            fetches.add(step)
            continue
        here.append((step, stat.size))
        if stat.links and frontier.opens(step):
            nodes.append((step, stat.size))
    for group in grouped(nodes):
        read = await blocks.get_many([step.cid for step in group])
        for step, block in zip(group, read, strict=True):
            await frontier.unfold(block, step.depth + 1)
    return [(step, size) for step, size in here if not step.again]


def grouped(items: Sequence[tuple[T, int]], limit: int = READ_BYTES) -> Generator[list[T]]:
    """Things with their bytes, in groups to read together: at most `limit` bytes, or one thing, a group."""
    group: list[T] = []
    total = 0
    for item, size in items:
        if group and total + size > limit:
            yield group
            group, total = [], 0
        group.append(item)
        total += size
    if group:
        yield group


class _WalkStep(NamedTuple):
    cid: CID
    depth: int
    again: bool  # met before, on a longer way, below which a depth limit may have cut


class _Frontier:
    """What is known and not visited yet."""

    def __init__(self, limit: int | None, max_pending: int) -> None:
        self._limit = limit
        self._max_pending = max_pending
        self._depths: dict[bytes, int] = {}
        self._leaves: list[_WalkStep] = []
        self._nodes: list[_WalkStep] = []

    def __len__(self) -> int:
        return len(self._leaves) + len(self._nodes)

    def opens(self, step: _WalkStep) -> bool:
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
        leaves: list[_WalkStep] = []
        nodes: list[_WalkStep] = []
        for cid in cids:
            key = _key(cid)
            known = self._depths.get(key)
            if known is not None and (self._limit is None or known <= depth):
                continue
            self._depths[key] = depth
            (leaves if cid.codec == RAW else nodes).append(_WalkStep(cid, depth, known is not None))
        self._leaves += reversed(leaves)  # taken from the end: the first link first
        self._nodes += reversed(nodes)
        if len(self) > self._max_pending:
            raise DagTooLarge(
                f"more than {self._max_pending} blocks of the DAG are linked to and not visited yet"
            )

    def take(self) -> list[_WalkStep]:
        stack, limit = (self._leaves, _LEAVES_A_PAGE) if self._leaves else (self._nodes, _NODES_A_PAGE)
        page = stack[: -limit - 1 : -1]
        del stack[-limit:]
        return page


def _key(cid: CID) -> bytes:
    """Sixteen bytes of the digest, and whether it may link: bytes may be raw here and a node there."""
    digest = cid.multihash if cid.is_identity else cid.multihash[-16:]
    return digest if cid.codec == RAW else digest + b"n"


@asynccontextmanager
async def _flight(blocks: Blocks) -> AsyncIterator[_Fetches]:
    """Fetches that end with the block."""
    running: set[asyncio.Task[Block]] = set()
    try:
        yield _Fetches(blocks, running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


class _Fetches:
    """Missing blocks: a queue, and a window of them in flight: 64 nodes, and leaves of 32 MiB together."""

    def __init__(self, blocks: Blocks, running: set[asyncio.Task[Block]]) -> None:
        self._blocks = blocks
        self._running = running
        self._leaves = 0  # of those running
        self._waiting: deque[_WalkStep] = deque()
        self._done: asyncio.Queue[tuple[_WalkStep, asyncio.Task[Block]]] = asyncio.Queue()
        self._leaf_bytes = 1024 * 1024.0  # a running average, begun at the usual chunk

    def __len__(self) -> int:
        return len(self._waiting) + len(self._running)

    @property
    def crowded(self) -> bool:
        return len(self._waiting) >= _WAITING

    def add(self, step: _WalkStep) -> None:
        self._waiting.append(step)

    async def arrived(self, *, wait: bool) -> list[tuple[_WalkStep, Block]]:
        """Blocks that came; with `wait`, at least one unless none is missing. Raises what a fetch raised."""
        self._start()
        came: list[tuple[_WalkStep, Block]] = []
        while not self._done.empty() or (wait and not came and self._running):
            step, task = await self._done.get()
            self._running.discard(task)
            block = task.result()
            if step.cid.codec == RAW:
                self._leaves -= 1
                self._leaf_bytes += (len(block.data) - self._leaf_bytes) / 16
            came.append((step, block))
        self._start()
        return came

    def _start(self) -> None:
        while self._waiting and self._has_room(self._waiting[0]):
            step = self._waiting.popleft()
            self._leaves += step.cid.codec == RAW
            task = asyncio.create_task(self._blocks.get(step.cid))
            self._running.add(task)
            task.add_done_callback(partial(self._ended, step))

    def _has_room(self, step: _WalkStep) -> bool:
        if step.cid.codec != RAW:
            return len(self._running) - self._leaves < _NODES_IN_FLIGHT
        low, high = _LEAVES_IN_FLIGHT
        return self._leaves < max(low, min(int(_FLIGHT_BYTES / (self._leaf_bytes + 1)), high))

    def _ended(self, step: _WalkStep, task: asyncio.Task[Block]) -> None:
        self._done.put_nowait((step, task))
