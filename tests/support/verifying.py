"""A whole store verified in a test."""

from __future__ import annotations

from blockstore.cid import CID
from blockstore.upkeep import Verified, VerifiedStore


async def verified(store: VerifiedStore) -> Verified:
    """What a pass over all of it finds."""
    found = await store.verify_behind(b"")
    while found.place:
        found = found.joined(await store.verify_behind(found.place))
    return found


async def damaged(store: VerifiedStore) -> list[CID]:
    return [*(await verified(store)).damaged]
