"""Adding: an upload becomes blocks, the blocks a pin, and the caller hears of it when both are durable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass
from typing import Protocol

from blockstore.cid import CID
from blockstore.unixfs.entries import Entry
from blockstore.unixfs.importer import BlockSink, Progress, import_entries
from blockstore.unixfs.ingest import Added
from blockstore.unixfs.options import ImportOptions
from cluster.pin import Pin, PinMode, PinOptions
from cluster.pin import Progress as WalkProgress
from cluster.ports import LocalPins

_PINS_AT_ONCE = 256  # so that many roots share the pinset's batches


class Protected(Protocol):
    """The store, seen by its one wish: let no collection take what has no root yet."""

    def protect(self) -> AbstractContextManager[None]: ...


class PinWriter(Protocol):
    """The cluster, as adding sees it."""

    async def pin(
        self, cid: CID, options: PinOptions, *, priority_peers: Sequence[str], size: int
    ) -> Pin: ...


@dataclass(frozen=True, slots=True)
class Done:
    """One thing that is in the DAG now; `pin` is set for a root that was pinned, which is then durable."""

    added: Added
    pin: Pin | None = None


@dataclass(frozen=True, slots=True)
class Adding:
    """Whoever leaves in the middle leaves no pin: blocks stored by then are garbage for the collector."""

    store: Protected
    sink: BlockSink
    pins: LocalPins
    cluster: PinWriter
    peer: str

    async def add(
        self,
        entries: AsyncIterator[Entry],
        options: ImportOptions,
        pin: PinOptions | None,
        progress: Progress | None = None,
    ) -> AsyncGenerator[Done]:
        """Everything in order, roots last and pinned, unless `pin` is None. Use under `contextlib.aclosing`.

        Every root is pinned. ipfs-cluster pins the last one only, so that of several files added together
        all but one are lost to the next garbage collection: a well-known pain that nobody relies on.

        Raises what importing (BadEntry, StorageFull ...) and pinning (NotEnoughPeers ...) raise.
        """
        roots: list[Added] = []
        with self.store.protect():
            async with aclosing(import_entries(entries, self.sink, options, progress)) as results:
                async for added in results:
                    if is_root(added, options.wrap):
                        roots.append(added)
                    else:
                        yield Done(added)
            for start in range(0, len(roots), _PINS_AT_ONCE):
                for done in await self._pin_all(roots[start : start + _PINS_AT_ONCE], pin):
                    yield done

    async def pin_root(self, cid: CID, size: int, pin: PinOptions) -> Pin:
        """Pin a DAG that is here; `size` in bytes of all its blocks. The local pin is complete on return.

        Once begun it is carried through, whether or not the caller is cancelled: the caller holds
        `store.protect()`, without which a collection could come between the wish and the local pin.
        """
        pinning = asyncio.ensure_future(self._pin_root(cid, size, pin))
        try:
            return await asyncio.shield(pinning)
        finally:
            await asyncio.wait([pinning])
            if not pinning.cancelled():
                pinning.exception()  # seen, where the caller went away before it came

    async def _pin_root(self, cid: CID, size: int, pin: PinOptions) -> Pin:
        # First the cluster's word, then ours: a local pin that nobody asked for would be removed again.
        made = await self.cluster.pin(cid, pin, priority_peers=(self.peer,), size=size)
        if made.held_by(self.peer):
            recursive = pin.mode is PinMode.RECURSIVE
            await self.pins.pin(cid, recursive=recursive, hints=(), progress=_unheard)
        return made

    async def _pin_all(self, roots: Sequence[Added], pin: PinOptions | None) -> list[Done]:
        if pin is None:
            return [Done(root) for root in roots]
        tasks = [asyncio.ensure_future(self.pin_root(root.cid, root.size, pin)) for root in roots]
        try:
            pins = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return [Done(root, made) for root, made in zip(roots, pins, strict=True)]


def is_root(added: Added, wrap: bool) -> bool:
    """Whether nothing of the import links to it: the wrapping directory, else everything at the top."""
    return added.name == "" if wrap else "/" not in added.name


def _unheard(progress: WalkProgress) -> None:
    """Nobody watches this walk: everything is here."""
