"""A keyed lock: what reads a pin and writes what follows from it runs one after the other for each CID."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from blockstore.cid import CID

_Turn = asyncio.Future[None]


class KeyedLock:
    """Between this member's own writers: among members the pinset itself decides.

    Who comes asks for all of its CIDs in one step and waits for those who asked before: so all are served in
    the order in which they came, and no two wait for each other.
    """

    def __init__(self) -> None:
        self._last: dict[CID, _Turn] = {}  # the turn of who asked last for that CID; done when it has ended

    @asynccontextmanager
    async def of(self, *cids: CID) -> AsyncIterator[None]:
        """Wait until no other caller of this node decides about those pins."""
        turn: _Turn = asyncio.get_running_loop().create_future()
        before = {earlier for cid in cids if (earlier := self._last.get(cid)) is not None}
        self._last.update(dict.fromkeys(cids, turn))
        try:
            if before:
                await asyncio.wait(before)
            yield
        finally:
            self._end(turn, cids, [earlier for earlier in before if not earlier.done()])

    def _end(self, turn: _Turn, cids: Sequence[CID], before: Sequence[_Turn]) -> None:
        """Those behind may go on, once those before have ended: who waited may have gone away sooner."""
        left = [earlier for earlier in before if not earlier.done()]
        if left:
            left[0].add_done_callback(lambda _: self._end(turn, cids, left))
            return
        turn.set_result(None)
        for cid in cids:
            if self._last.get(cid) is turn:
                del self._last[cid]
