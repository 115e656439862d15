"""A local store in memory whose DAGs take their time, can be missing, stuck or broken."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from blockstore.cid import CID
from cluster.pin import KeyRange, Progress
from cluster.ports import (
    LocalPin,
    LocalRoots,
    PinFailed,
    PinTooLarge,
    ProgressHandler,
)


class MemoryPins:
    """LocalPins: each DAG has ten blocks, `pace` seconds each; no peer has what is `missing`.

    A walk of what is `stuck` stands still, and one of what is `broken` meets a bug.
    """

    def __init__(
        self, missing: set[CID], stuck: set[CID], broken: Collection[CID] = (), pace: float = 1.0
    ) -> None:
        self._missing = missing
        self._stuck = stuck
        self._broken = broken
        self._pace = pace
        self._fetched: Counter[CID] = Counter()
        self._unpinned: Counter[CID] = Counter()
        self.roots: dict[CID, LocalPin] = {}
        self.walks: list[CID] = []
        self.fetches: list[CID] = []
        self.hints: dict[CID, Sequence[str]] = {}
        self.busy = 0
        self.busiest = 0

    async def pin(
        self,
        cid: CID,
        *,
        recursive: bool,
        hints: Sequence[str],
        progress: ProgressHandler,
        max_size: int = 0,
    ) -> LocalPin:
        known = self.roots.get(cid)
        if known is not None and known.has(recursive):
            return known
        self.walks.append(cid)
        self.hints[cid] = hints
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            whole = recursive or (known is not None and known.recursive)
            return await self._walk(cid, whole, progress, max_size)
        finally:
            self.busy -= 1

    async def _walk(self, cid: CID, recursive: bool, progress: ProgressHandler, max_size: int) -> LocalPin:
        self.roots[cid] = LocalPin(cid, complete=False, recursive=recursive)
        unpinned, count = self._unpinned[cid], 10 if recursive else 1
        for blocks in range(self._fetched[cid], count):
            await self.fetch_block(cid)
            if self._unpinned[cid] != unpinned:
                raise PinFailed("it was unpinned meanwhile")
            self._fetched[cid] = blocks + 1
            if 0 < max_size < count * 1000:
                raise PinTooLarge(f"larger than its limit of {max_size} bytes: its root says so")
            progress(Progress(blocks + 1, (blocks + 1) * 1000, count - 1 - blocks))
        self.roots[cid] = LocalPin(cid, True, count, count * 1000, recursive)
        return self.roots[cid]

    async def fetch_block(self, cid: CID) -> None:
        self.fetches.append(cid)
        await asyncio.sleep(self._pace)
        if cid in self._broken:
            raise ZeroDivisionError
        if cid in self._missing:
            raise PinFailed("no providers found")
        while cid in self._stuck:  # noqa: ASYNC110 - a set that tests fill and empty
            await asyncio.sleep(self._pace)

    async def pin_here(self, roots: Mapping[CID, bool]) -> Mapping[CID, LocalPin]:
        """Complete ones alone: each DAG here has more than one block."""
        return {
            cid: root
            for cid, recursive in roots.items()
            if (root := self.roots.get(cid)) is not None and root.has(recursive)
        }

    async def unpin_many(self, cids: Sequence[CID]) -> None:
        for cid in cids:
            await self.unpin(cid)

    async def get_many(self, cids: Sequence[CID]) -> list[LocalPin | None]:
        return [self.roots.get(cid) for cid in cids]

    async def unpin(self, cid: CID) -> None:
        self.roots.pop(cid, None)
        self._unpinned[cid] += 1

    async def get(self, cid: CID) -> LocalPin | None:
        return self.roots.get(cid)

    async def pinned(self, after: CID | None = None) -> AsyncIterator[LocalPin]:
        start = bytes(after) if after else b""
        for key, root in sorted((bytes(cid), root) for cid, root in self.roots.items()):
            if key > start and self.roots.get(root.cid) is root:
                yield root

    async def within(self, keys: KeyRange, limit: int) -> LocalRoots:
        found = sorted(((bytes(cid), root) for cid, root in self.roots.items()), key=lambda pair: pair[0])
        roots = [root for key, root in found if keys.after < key <= keys.until][:limit]
        return LocalRoots(
            cids=[bytes(root.cid) for root in roots],
            recursive=[int(root.recursive) for root in roots],
            complete=[int(root.complete) for root in roots],
            blocks=[root.blocks for root in roots],
            sizes=[root.bytes for root in roots],
            until=bytes(roots[-1].cid) if len(roots) == limit else keys.until,
        )
