"""Blocks verified because an operator asks for it, all of them or those of one pin, and mended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from blockstore.blocks import Blocks
from blockstore.cid import CID, RAW
from blockstore.errors import BlockstoreError
from blockstore.ipld import decoding
from blockstore.upkeep import Verified, VerifiedStore

FETCH_SECONDS = 60.0
"""For each block that is to be mended."""

_BLOCKS_A_STEP = 256
_FETCHED_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class CheckStep:
    """A part that was verified; blocks that were fetched again and are sound now; why others could not be."""

    verified: Verified
    mended: Sequence[CID] = ()
    failed: dict[CID, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoreCheck:
    """`blocks` fetches what is missing and keeps it; `holders` are the peers that are to hold a root."""

    store: VerifiedStore
    blocks: Blocks
    holders: Callable[[CID], Awaitable[Sequence[str]]]

    async def all(self, *, mend: bool) -> AsyncGenerator[CheckStep]:
        """Every block, at full pace. With `mend` those that are bad are fetched again, needed or not."""
        place = b""
        while True:
            step = await self.store.verify_behind(place)
            yield await self._step(step, self.blocks if mend else None)
            place = step.place
            if not place:
                return

    async def root(self, root: CID, *, recursive: bool, mend: bool) -> AsyncGenerator[CheckStep]:
        """A root, alone or with all below it, as far as its nodes are here or can be had.

        Memory: a hundred bytes a block. Raises BadBlock, UnknownCodec, DagTooLarge, UnknownHash.
        """
        source = self.blocks.session(root, await self.holders(root)) if mend else None
        seen, stack = {root}, [root]
        while stack:
            page = stack[-_BLOCKS_A_STEP:]
            del stack[-_BLOCKS_A_STEP:]
            yield await self._step(await self.store.verify(page), source)
            if recursive:
                async for cid in self._below(page):
                    if cid not in seen:
                        seen.add(cid)
                        stack.append(cid)

    async def _below(self, cids: Sequence[CID]) -> AsyncGenerator[CID]:
        nodes = [cid for cid in cids if cid.codec != RAW]
        for cid, stat in zip(nodes, await self.blocks.store.stat(nodes), strict=True):
            if stat is None or not stat.links:
                continue
            (block,) = await self.blocks.store.get_many([cid])
            if block is not None:
                for link in await decoding.links(block):
                    yield link

    async def _step(self, verified: Verified, source: Blocks | None) -> CheckStep:
        bad = [*verified.damaged, *verified.unreadable, *verified.missing]
        if source is None or not bad:
            return CheckStep(verified)
        failed: dict[CID, str] = {}
        for start in range(0, len(bad), _FETCHED_AT_ONCE):
            together = bad[start : start + _FETCHED_AT_ONCE]
            reasons = await asyncio.gather(*(_fetched(source, cid) for cid in together))
            failed |= {cid: why for cid, why in zip(together, reasons, strict=True) if why}
        again = await self.store.verify([cid for cid in bad if cid not in failed])
        for cid in [*again.damaged, *again.unreadable, *again.missing]:
            failed[cid] = "it came again, and is bad again: look at the disk"
        return CheckStep(verified, [cid for cid in bad if cid not in failed], failed)


async def _fetched(source: Blocks, cid: CID) -> str:
    """Why it could not be had; empty when it is in the store."""
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            await source.get(cid)
    except TimeoutError:
        return f"no peer gave it in {FETCH_SECONDS:g} s"
    except BlockstoreError as error:
        return str(error)
    return ""
