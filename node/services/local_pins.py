"""The local store's pins as the cluster wishes to see them (cluster.ports.LocalPins)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from contextlib import contextmanager

from blockstore.cid import CID
from blockstore.errors import AboveMaxSize, BlockNotFound, BlockstoreError
from blockstore.pinning.local_pinner import LocalPinner, PinnedRoot
from blockstore.pinning.pin_progress import PinProgress
from cluster.pin import KeyRange, Progress
from cluster.ports import LocalPin, LocalRoots, PinFailed, PinTooLarge, ProgressHandler
from node.services.origins import Connect, origins_reached


class ClusterLocalPins:
    """Translates values and errors; decides nothing."""

    def __init__(self, pinner: LocalPinner, connect: Connect | None = None) -> None:
        """`connect` reaches the origins that pins name; without, there is no open network."""
        self._pinner = pinner
        self._connect = connect

    async def pin(
        self,
        cid: CID,
        *,
        recursive: bool,
        hints: Sequence[str],
        progress: ProgressHandler,
        max_size: int = 0,
    ) -> LocalPin:
        def report(found: PinProgress) -> None:
            progress(Progress(*found))

        try:
            async with origins_reached(hints, self._connect) as peers:
                root = await self._pinner.pin(
                    cid, recursive=recursive, hints=peers, progress=report, max_size=max_size
                )
                return _local(root)
        except BlockNotFound as error:
            raise PinFailed(_missing(cid, error)) from None
        except AboveMaxSize as error:
            raise PinTooLarge(str(error)) from None
        except BlockstoreError as error:
            raise PinFailed(str(error)) from None

    async def pin_here(self, roots: Mapping[CID, bool]) -> Mapping[CID, LocalPin]:
        with _failing():
            return {root.cid: _local(root) for root in await self._pinner.pin_here(roots)}

    async def unpin(self, cid: CID) -> None:
        await self.unpin_many([cid])

    async def unpin_many(self, cids: Sequence[CID]) -> None:
        with _failing():
            await self._pinner.unpin(*cids)

    async def get(self, cid: CID) -> LocalPin | None:
        (root,) = await self.get_many([cid])
        return root

    async def get_many(self, cids: Sequence[CID]) -> list[LocalPin | None]:
        with _failing():
            return [_local(root) if root else None for root in await self._pinner.get_many(cids)]

    async def pinned(self, after: CID | None = None) -> AsyncIterator[LocalPin]:
        with _failing():
            async for root in self._pinner.pinned(after):
                yield _local(root)

    async def within(self, keys: KeyRange, limit: int) -> LocalRoots:
        with _failing():
            found = await self._pinner.within(keys.after, keys.until, limit)
        until = found.cids[-1] if len(found.cids) == limit else keys.until
        return LocalRoots(found.cids, found.recursive, found.complete, found.blocks, found.sizes, until)


@contextmanager
def _failing() -> Generator[None]:
    """The store's errors as the cluster's."""
    try:
        yield
    except BlockstoreError as error:
        raise PinFailed(str(error)) from None


def _local(root: PinnedRoot) -> LocalPin:
    return LocalPin(root.cid, root.complete, root.blocks, root.bytes, root.recursive)


def _missing(cid: CID, error: BlockNotFound) -> str:
    """The reason first: the CID that is missing matters only where it is not the pin's own."""
    where = "" if error.cid == cid else f" (block {error.cid})"
    return f"{error.reason}{where}"
