"""An exchange over blocks that lie elsewhere: another store, which may be slow or lack some."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from blockstore.block import Block
from blockstore.cid import CID
from blockstore.errors import BlockNotFound
from blockstore.fetch_progress import FetchProgress
from blockstore.fetch_report import FetchOutcome, FetchReport


class RemoteBlocks:
    """Serves `blocks`. While held, fetches wait; the attributes tell what happened."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._blocks = {block.cid: block for block in blocks}
        self.asked: list[CID] = []
        self.hints: list[tuple[str, ...]] = []
        self.running = 0
        self.most_running = 0
        self.most_bytes = 0
        self._bytes = 0
        self.withdrawn = 0
        self.released = asyncio.Event()
        self.released.set()
        self.changed = asyncio.Condition()

    def hold(self) -> None:
        self.released.clear()

    def forget(self, cid: CID) -> None:
        del self._blocks[cid]

    async def fetch(
        self, cid: CID, hints: Sequence[str] = (), progress: FetchProgress | None = None
    ) -> Block:
        if progress is not None:
            progress.follow(
                lambda: (FetchReport(source="store", connected=1, outcomes=(FetchOutcome.WAITING,)),)
            )
        self.asked.append(cid)
        self.hints.append(tuple(hints))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        size = len(self._blocks[cid].data) if cid in self._blocks else 0
        self._bytes += size
        self.most_bytes = max(self.most_bytes, self._bytes)
        await self._tell()
        try:
            if cid in self._blocks:
                await self.released.wait()
            await asyncio.sleep(0)
            return self._blocks[cid]
        except KeyError:
            raise BlockNotFound(cid, "the other store has not got it") from None
        except asyncio.CancelledError:
            self.withdrawn += 1
            raise
        finally:
            self.running -= 1
            self._bytes -= size

    def session(self, root: CID) -> RemoteBlocks:
        return self

    async def until_running(self, count: int) -> None:
        """Wait until that many fetches are out at once."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.running >= count)

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()
