"""Adding: an upload becomes blocks, the blocks a pin, and the caller hears of it when both are durable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass
from typing import Protocol

from blockstore.blocks import Blocks
from blockstore.cid import CID
from blockstore.errors import BlockNotFound, BlockstoreError
from blockstore.ipld.dag_walk import walk
from blockstore.unixfs.importing.entries import Entry
from blockstore.unixfs.importing.importer import BlockSink, Progress, import_entries
from blockstore.unixfs.importing.ingest import ImportedEntry
from blockstore.unixfs.importing.options import ImportOptions
from blockstore.upkeep import Reservation
from cluster.pin import GrantResult, PinMode, PinOptions, Wish
from cluster.ports import PinFailed
from node.services.early_offers import NO_OFFERS, EarlyOffers
from node.services.paced_sink import PacedSink, Turn, at_once
from node.services.reserved_sink import reserved_sink

KEPT = Wish(PinOptions(mode=PinMode.RECURSIVE), frozenset({"mode"}))
"""What Kubo's clients wish of a pin: all of the DAG. What it was given elsewhere, such as a name, stays."""

_PINS_AT_ONCE = 256  # so that many roots share the pinset's batches


class Protected(Protocol):
    """The store, seen by its promises.

    No collection takes what has no root yet, no power failure any; no import is promised the room of others.
    """

    def protect(self) -> AbstractContextManager[None]: ...

    def reserve(self) -> AbstractContextManager[Reservation]: ...

    async def flush(self) -> None: ...


class PinWriter(Protocol):
    """The cluster's decisions, as adding sees them."""

    async def grant(
        self, cid: CID, wish: Wish, *, priority_peers: Sequence[str], size: int
    ) -> GrantResult: ...


class LocalTracking(Protocol):
    """What this member does about its pins: the only one that walks a root and records it as held."""

    async def holds(self, cid: CID, recursive: bool) -> bool: ...

    async def pinned(self, cid: CID) -> None:
        """Return when the pin is held here, its blocks synced. Raises PinFailed."""
        ...


@dataclass(frozen=True, slots=True)
class AddResult:
    """One thing that is in the DAG now; `granted` is set for a root that was pinned, durably."""

    added: ImportedEntry
    granted: GrantResult | None = None


@dataclass(frozen=True, slots=True)
class AddService:
    """A client that leaves in the middle leaves no pin: blocks stored by then are garbage for the collector.

    `here` is the store alone: nothing is fetched. `peer` is this node's. `early` hears what is stored.
    """

    store: Protected
    sink: BlockSink
    here: Blocks
    pins: PinWriter
    tracking: LocalTracking
    peer: str
    early: EarlyOffers = NO_OFFERS

    async def add(
        self,
        entries: AsyncIterator[Entry],
        options: ImportOptions,
        wish: Wish | None,
        progress: Progress | None = None,
        expected: int = 0,
        turn: Turn = at_once,
    ) -> AsyncGenerator[AddResult]:
        """Everything in order, roots last and pinned, unless `wish` is None. Use under `contextlib.aclosing`.

        A root is yielded when all of it is on the disk, and its status here is `pinned` where it is to be.
        Every root is pinned. ipfs-cluster pins the last one only, so that of several files added together
        all but one are lost to the next garbage collection: a well-known pain that no client relies on.

        `expected` bytes are to come, as far as that is known: where they do not fit, the first block that is
        not here already ends the import, before anything is stored. `turn` is asked before each group is
        stored.
        Raises what importing (BadEntry, StorageFull ...) and pinning (NotEnoughPeers ...) raise.
        """
        roots: list[ImportedEntry] = []
        with self.store.protect(), self.store.reserve() as reservation:
            sink = await reserved_sink(self.here, self.sink, reservation, expected)
            sink = PacedSink(self.early.around(sink, wish), turn)
            async with aclosing(import_entries(entries, sink, options, progress)) as results:
                async for added in results:
                    if is_root(added, options.wrap):
                        roots.append(added)
                    else:
                        yield AddResult(added)
            if wish is None:
                await self.store.flush()
            for start in range(0, len(roots), _PINS_AT_ONCE):
                for result in await self._pin_all(roots[start : start + _PINS_AT_ONCE], wish):
                    yield result

    async def pin_root(self, cid: CID, wish: Wish) -> GrantResult:
        """Pin a DAG whose blocks were just stored; then they are on the disk, and a local pin is complete.

        Nothing is fetched for it: raises PinFailed, and leaves the pinset alone, where a block is missing.
        The caller holds `store.protect()`.
        """
        size = await self._size(cid, wish.options.mode is PinMode.RECURSIVE)
        return await self._carried_through(cid, size, wish)

    async def _size(self, cid: CID, recursive: bool) -> int:
        """Bytes of all blocks of a DAG, each of which is here."""
        size = 0
        try:
            async with aclosing(walk(self.here, cid, recursive=recursive)) as visits:
                async for visit in visits:
                    size += visit.size
        except BlockNotFound as error:
            raise PinFailed(f"block {error.cid} is not here") from None
        except BlockstoreError as error:
            raise PinFailed(str(error)) from None
        return size

    async def _carried_through(self, cid: CID, size: int, wish: Wish) -> GrantResult:
        """Once begun it is carried through, whether or not the caller is cancelled.

        The caller holds `store.protect()`, without which a collection could come between the wish and the
        local pin.
        """
        pinning = asyncio.ensure_future(self._pin(cid, size, wish))
        try:
            return await asyncio.shield(pinning)
        finally:
            await asyncio.wait([pinning])
            if not pinning.cancelled():
                pinning.exception()  # seen, where the caller went away before it came

    async def _pin(self, cid: CID, size: int, wish: Wish) -> GrantResult:
        was_held = await self.tracking.holds(cid, recursive=False)
        granted = await self.pins.grant(cid, wish, priority_peers=(self.peer,), size=size)
        held = granted.pin.held_by(self.peer)
        if held:
            await self._pinned_here(cid)
        if was_held or not held:
            await self.store.flush()  # a local pin does so when it becomes complete, and only then
        return granted

    async def _pinned_here(self, cid: CID) -> None:
        try:
            await self.tracking.pinned(cid)
        except PinFailed as error:
            raise PinFailed(
                f"{cid} is to be pinned here, but is not yet: {error}; it is tried again"
            ) from None

    async def _pin_all(self, roots: Sequence[ImportedEntry], wish: Wish | None) -> list[AddResult]:
        if wish is None:
            return [AddResult(root) for root in roots]
        tasks = [asyncio.ensure_future(self._carried_through(root.cid, root.size, wish)) for root in roots]
        try:
            granted = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return [AddResult(root, one) for root, one in zip(roots, granted, strict=True)]


def is_root(added: ImportedEntry, wrap: bool) -> bool:
    """Whether nothing of the import links to it: the wrapping directory, else everything at the top."""
    return added.name == "" if wrap else "/" not in added.name
