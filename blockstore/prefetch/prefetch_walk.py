"""Prefetch for walks: blocks that a walk will want next, fetched a few ahead of their turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from blockstore.block import Block
from blockstore.cid import CID
from blockstore.errors import BlockstoreError
from blockstore.prefetch.window import SMALL, Prefetched, PrefetchWindow

_FIRST_GUESS = 256 * 1024  # bytes of a block
LOOKED_AT = 256  # links ahead; a node may have 45 000, all the same, and each is taken in its turn

Links = Callable[[Block], Iterable[CID]]
"""What a walk will want of a block, in its order."""


class PrefetchWalk:
    """For a walk that knows what comes next: that is asked for as well, and waits for its turn.

    What comes next is what the walk says, and below each block that waits what `links` says of it: narrow
    DAGs are fetched many blocks at a time too.
    """

    def __init__(self, window: PrefetchWindow, links: Links = lambda block: ()) -> None:
        self._window = window
        self._links = links
        self._asked: dict[CID, Prefetched] = {}
        self._typical = _FIRST_GUESS

    async def take(self, cid: CID, following: Iterable[CID]) -> Block:
        """That block, and perhaps some of the next ones with it. Raises BlockNotFound for `cid` only."""
        if cid not in self._asked or self._window.is_remote:
            self._ask(cid, following)
        block = await self._window.take(self._asked.pop(cid))
        self._typical = max(len(block.data), self._typical // 2, SMALL)
        return block

    def _ask(self, cid: CID, following: Iterable[CID]) -> None:
        new = [] if cid in self._asked else [cid]
        count = self._window.room // self._typical
        if count > len(new):
            ahead = islice(self._unfolded(following), LOOKED_AT)
            early = (other for other in ahead if other != cid and other not in self._asked)
            new = list(islice(dict.fromkeys((*new, *early)), count))
        for prefetched in self._window.begin([(one, self._typical) for one in new]):
            self._asked[prefetched.cid] = prefetched

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
            prefetched = self._asked.get(cid)
            if prefetched is not None and prefetched.arrived and cid not in opened:
                opened.add(cid)
                try:
                    stack.append(iter(list(self._links(prefetched.arrived))))
                except BlockstoreError:
                    return  # the walk meets the same error when it gets there
