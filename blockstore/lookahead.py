"""Blocks that a walk will want, fetched a few ahead of their turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from blockstore.ahead import LEAST, MOST, Share
from blockstore.block import Block
from blockstore.cid import CID
from blockstore.errors import BlockNotFound, BlockstoreError
from blockstore.service import BlockSource

_MAX_READY = 64  # blocks that wait for their turn
_FIRST_GUESS = 1024 * 1024  # bytes of a block
LOOKED_AT = 256  # links ahead; a node may have 45 000, all the same, and each is taken in its turn

Links = Callable[[Block], Iterable[CID]]
"""What a walk will want of a block, in its order."""


class Lookahead:
    """A few blocks at a time for a walk that knows what comes next; what came early waits for its turn.

    What comes next is what the walk says, and below each block that waits what `links` says of it: narrow
    DAGs are fetched many blocks at a time too.
    """

    def __init__(
        self,
        source: BlockSource,
        share: Share = lambda: MOST,
        links: Links = lambda block: (),
        *,
        window: int = 16,
    ) -> None:
        """At most `window` blocks a request, fewer where blocks like those before would not fit a share."""
        self._source = source
        self._share = share
        self._links = links
        self._window = window
        self._ready: dict[CID, Block] = {}
        self._bytes = 0
        self._typical = _FIRST_GUESS

    async def take(self, cid: CID, following: Iterable[CID]) -> Block:
        """That block, and perhaps some of the next ones with it. Raises BlockNotFound for `cid` only."""
        block = self._ready.pop(cid, None)
        if block is not None:
            self._bytes -= len(block.data)
            return block
        ahead = islice(self._unfolded(following), LOOKED_AT)
        early = (other for other in ahead if other != cid and other not in self._ready)
        wanted = list(dict.fromkeys([cid, *islice(early, self._room())]))
        try:
            block, *rest = await self._source.get_many(wanted)
        except BlockNotFound as error:
            if error.cid == cid:
                raise
            return await self._source.get(cid)
        self._ready.update((other.cid, other) for other in rest)
        waiting = sum(len(other.data) for other in rest)
        self._bytes += waiting
        self._typical = max(self._typical // 2, (waiting + len(block.data)) // len(wanted), 1)
        return block

    def _room(self) -> int:
        """Blocks that may come early."""
        share = self._share()
        if share < LEAST or len(self._ready) >= _MAX_READY:
            return 0
        return max(0, min(self._window - 1, (share - self._bytes) // self._typical - 1))

    def _unfolded(self, cids: Iterable[CID]) -> Iterator[CID]:
        """In the order of a walk, as far down as blocks wait. Each of those is opened once."""
        opened: set[CID] = set()
        stack = [iter(cids)]
        while stack:
            cid = next(stack[-1], None)
            if cid is None:
                stack.pop()
                continue
            yield cid
            if cid in self._ready and cid not in opened:
                opened.add(cid)
                try:
                    stack.append(iter(list(self._links(self._ready[cid]))))
                except BlockstoreError:
                    return  # which the walk will be told when it gets there
