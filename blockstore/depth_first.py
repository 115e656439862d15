"""The blocks of a DAG in depth-first order, as CAR files want them, fetched a few ahead of their turn."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from itertools import islice

from blockstore import codecs
from blockstore.ahead import LEAST, MOST, Share, reading
from blockstore.block import Block
from blockstore.cid import CID
from blockstore.errors import BlockNotFound, BlockstoreError, DagTooLarge
from blockstore.service import BlockSource

_MAX_READY = 64  # blocks that wait for their turn
_FIRST_GUESS = 1024 * 1024  # bytes of a block
_LOOKED_AT = 256  # links ahead; a node may have 45 000, all the same, and each is taken in its turn
MAX_PENDING = 1_000_000  # links known and not followed yet
MAX_SEEN = 1_000_000  # some 100 MB; a DAG with more blocks than this may give some of them twice

Links = Callable[[Block], Iterable[CID]]
"""What a walk will want of a block, in its order."""

Skip = Callable[[CID], bool]
"""Whether a walk leaves out a link, and so what only it leads to."""


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
        ahead = islice(self._unfolded(following), _LOOKED_AT)
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


def nothing(cid: CID) -> bool:
    """A Skip that leaves out no link."""
    return False


async def depth_first(
    source: BlockSource,
    root: CID,
    *,
    duplicates: bool = False,
    max_depth: int | None = None,
    skip: Skip = nothing,
) -> AsyncGenerator[Block]:
    """Each block before its children, children in link order; a block met again only with `duplicates`.

    Identity CIDs are followed and not given: they carry their block. Links that `skip` names are neither.
    Raises BlockNotFound, BadBlock, UnknownCodec; DagTooLarge when a million links wait to be followed, or for
    links `max_depth` levels below the root.
    """
    seen: set[CID] = set()

    def links_of(block: Block) -> list[CID]:
        return [link for link in codecs.links(block) if not skip(link)]

    with reading() as share:
        lookahead = Lookahead(
            source, share, lambda block: (cid for cid in links_of(block) if cid not in seen)
        )
        stack = [(root, 0)]
        while stack:
            cid, depth = stack.pop()
            if cid in seen:
                continue
            ahead = islice(reversed(stack), _LOOKED_AT)
            block = await lookahead.take(cid, (other for other, _ in ahead if other not in seen))
            if not cid.is_identity:
                yield block
            if not duplicates and len(seen) < MAX_SEEN:
                seen.add(cid)
            links = links_of(block)
            if links and depth == max_depth:
                raise DagTooLarge(f"the DAG below {root} is deeper than {max_depth} levels")
            stack += ((link, depth + 1) for link in reversed(links))
            if len(stack) > MAX_PENDING:
                raise DagTooLarge(f"more than {MAX_PENDING} links wait to be followed below {root}")
