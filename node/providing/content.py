"""What is provided, by strategy: roots, all blocks below them, or every block that is here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Protocol

from blockstore.blocks import Blocks
from blockstore.cid import CID
from blockstore.errors import BlockstoreError
from blockstore.ipld.dag_walk import walk
from blockstore.pinning.local_pinner import LocalPinner, PinnedRoot
from blockstore.store import Blockstore
from node.providing.sharing import Sharing

_PAGE = 500


class ProvidedContent(Protocol):
    """What this node is to tell the DHT."""

    def pages(self) -> AsyncIterator[Sequence[CID]]:
        """All of it, never whole in memory; a block may come more than once."""
        ...

    async def ours(self, roots: Sequence[CID]) -> Sequence[CID]:
        """Those of these new roots that this member tells, and no other one."""
        ...

    async def kept(self, cids: Sequence[CID]) -> list[CID]:
        """Those of them that are still to be told."""
        ...


class RootContent:
    """The strategy `roots`: what is pinned here and complete, as far as this member tells it for all."""

    def __init__(self, pins: LocalPinner, sharing: Sharing) -> None:
        self._pins = pins
        self._sharing = sharing

    async def pages(self) -> AsyncIterator[Sequence[CID]]:
        """See `ProvidedContent.pages`."""
        page: list[CID] = []
        async for root in self._pins.pinned():
            if root.complete:
                page.append(root.cid)
            if len(page) >= _PAGE:
                yield await self._sharing.ours(page)
                page = []
        yield await self._sharing.ours(page)

    async def ours(self, roots: Sequence[CID]) -> Sequence[CID]:
        """See `ProvidedContent.ours`."""
        return await self._sharing.ours(roots)

    async def kept(self, cids: Sequence[CID]) -> list[CID]:
        """See `ProvidedContent.kept`."""
        roots = await self._pins.get_many(cids)
        return [cid for cid, root in zip(cids, roots, strict=True) if root is not None and root.complete]


class PinnedContent:
    """The strategy `pinned`: these roots, and every block below the recursive ones."""

    def __init__(self, roots: RootContent, pins: LocalPinner, here: Blocks) -> None:
        self._roots = roots
        self._pins = pins
        self._here = here

    async def pages(self) -> AsyncIterator[Sequence[CID]]:
        """See `ProvidedContent.pages`; a DAG with a damaged block is told as far as it can be read."""
        async for page in self._roots.pages():
            for root in await self._pins.get_many(page):
                if root is not None:
                    async for part in self._below(root):
                        yield part

    async def ours(self, roots: Sequence[CID]) -> Sequence[CID]:
        """See `ProvidedContent.ours`."""
        return await self._roots.ours(roots)

    async def kept(self, cids: Sequence[CID]) -> list[CID]:
        """See `ProvidedContent.kept`."""
        missing = set(await self._here.store.missing(cids))
        return [cid for cid in cids if cid not in missing]

    async def _below(self, root: PinnedRoot) -> AsyncIterator[Sequence[CID]]:
        page: list[CID] = []
        try:
            async with aclosing(
                walk(self._here.session(root.cid), root.cid, recursive=root.recursive)
            ) as visits:
                async for visit in visits:
                    page.append(visit.cid)
                    if len(page) >= _PAGE:
                        yield page
                        page = []
        except BlockstoreError:
            pass  # whatever repairs blocks has been told by the read itself
        yield page


class AllContent:
    """The strategy `all`: every block that is here; each member tells its own."""

    def __init__(self, store: Blockstore) -> None:
        self._store = store

    async def pages(self) -> AsyncIterator[Sequence[CID]]:
        """See `ProvidedContent.pages`."""
        page: list[CID] = []
        async for cid in self._store.keys():
            page.append(cid)
            if len(page) >= _PAGE:
                yield page
                page = []
        yield page

    async def ours(self, roots: Sequence[CID]) -> Sequence[CID]:
        """See `ProvidedContent.ours`."""
        return roots

    async def kept(self, cids: Sequence[CID]) -> list[CID]:
        """See `ProvidedContent.kept`."""
        missing = set(await self._store.missing(cids))
        return [cid for cid in cids if cid not in missing]


class ServedContent:
    """Any of these, without what this node would not give: who followed the news would come in vain."""

    def __init__(self, content: ProvidedContent, refuses: Callable[[CID], bool]) -> None:
        self._content = content
        self._refuses = refuses

    async def pages(self) -> AsyncIterator[Sequence[CID]]:
        """See `ProvidedContent.pages`."""
        async for page in self._content.pages():
            yield self._served(page)

    async def ours(self, roots: Sequence[CID]) -> Sequence[CID]:
        """See `ProvidedContent.ours`."""
        return await self._content.ours(self._served(roots))

    async def kept(self, cids: Sequence[CID]) -> list[CID]:
        """See `ProvidedContent.kept`."""
        return await self._content.kept(self._served(cids))

    def _served(self, cids: Sequence[CID]) -> list[CID]:
        return [cid for cid in cids if not self._refuses(cid)]
