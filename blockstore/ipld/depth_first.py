"""The blocks of a DAG in depth-first order, as CAR files want them, fetched a few ahead of their turn."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from blockstore import hashing
from blockstore.block import Block
from blockstore.blocks import BlockSource
from blockstore.cid import CID
from blockstore.errors import DagTooLarge
from blockstore.ipld import codecs, decoding
from blockstore.prefetch.prefetch_walk import LOOKED_AT, PrefetchWalk
from blockstore.prefetch.window import prefetching


@dataclass(frozen=True, slots=True)
class WalkLimits:
    """`pending`: links known and not followed yet.

    `seen`: blocks that are remembered, some 100 bytes each; of a DAG with more some may be given twice.
    """

    pending: int = 1_000_000
    seen: int = 1_000_000


WALK_LIMITS = WalkLimits()

Skip = Callable[[CID], bool]
"""Whether a walk leaves out a link, and so what only it leads to."""


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
    limits: WalkLimits = WALK_LIMITS,
) -> AsyncGenerator[Block]:
    """Each block before its children, children in link order; a block met again only with `duplicates`.

    Identity CIDs are followed and not given: they carry their block. Links that `skip` names are neither, nor
    those under an unknown hash function: such a block could not be verified.
    Raises BlockNotFound, BadBlock, UnknownCodec; DagTooLarge when too many links wait to be followed, or for
    links `max_depth` levels below the root.
    """
    seen: set[CID] = set()

    def taken(links: Iterable[CID]) -> list[CID]:
        return [link for link in links if hashing.is_known(link.multihash) and not skip(link)]

    def early(block: Block) -> Iterator[CID]:
        """Of large blocks nothing is known early: they are decoded once, in their turn."""
        links = codecs.links(block) if decoding.at_once(block) else ()
        return (cid for cid in taken(links) if cid not in seen)

    async with prefetching(source) as window:
        prefetch_walk = PrefetchWalk(window, early)
        stack = [(root, 0)]
        while stack:
            cid, depth = stack.pop()
            if cid in seen:
                continue
            ahead = islice(reversed(stack), LOOKED_AT)
            block = await prefetch_walk.take(cid, (other for other, _ in ahead if other not in seen))
            if not cid.is_identity:
                yield block
            if not duplicates and len(seen) < limits.seen:
                seen.add(cid)
            async for links in decoding.turns(await decoding.links(block)):
                stack += [(link, depth + 1) for link in reversed(taken(links))]
            if stack and depth == max_depth and stack[-1][1] > depth:
                raise DagTooLarge(f"the DAG below {root} is deeper than {max_depth} levels")
            if len(stack) > limits.pending:
                raise DagTooLarge(f"more than {limits.pending} links wait to be followed below {root}")
