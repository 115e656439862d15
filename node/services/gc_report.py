"""A garbage collection told in one piece, for callers who wait until it is over."""

from __future__ import annotations

from contextlib import aclosing

from blockstore.cid import CID
from blockstore.errors import BlockstoreError
from blockstore.upkeep import Swept
from cluster.calls.member_gc import MAX_NAMED, Collected
from node.services.gc import GarbageCollection


async def collected(gc: GarbageCollection) -> Collected:
    """Run it. What ends it before its time is told beside what was removed by then."""
    named: list[CID] = []
    count = 0
    try:
        async with aclosing(gc.run()) as steps:
            async for step in steps:
                if isinstance(step, Swept):
                    count += len(step.cids)
                    named += step.cids[: MAX_NAMED - len(named)]
    except (BlockstoreError, OSError) as error:
        return Collected(tuple(named), count - len(named), str(error) or type(error).__name__)
    return Collected(tuple(named), count - len(named))
