"""When an add is answered: after its blocks are on the disk, whoever is to hold them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from support.dags import leaf, node
from support.importing import pieces

from blockstore.blocks import Blocks, OfflineExchange
from blockstore.cid import CID
from blockstore.store import MemoryBlockstore
from blockstore.unixfs.importing.entries import Entry, SourceFile
from blockstore.unixfs.importing.options import profile
from cluster.pin import Granted, Pin, PinOptions, Wish
from cluster.ports import LocalPin, PinFailed
from node.services.add import AddService, Done

US, OTHER = "us", "other"


class Disk(MemoryBlockstore):
    """A store that knows what of it would survive a power failure."""

    def __init__(self) -> None:
        super().__init__()
        self.safe: set[bytes] = set()

    @contextmanager
    def protect(self) -> Iterator[None]:
        yield

    async def flush(self) -> None:
        self.safe = {cid.multihash async for cid in self.keys()}


class Roots:
    """Local pins: a root becomes complete with what its blocks need, and never again."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.complete: set[CID] = set()

    async def pin(self, cid: CID, **_: object) -> LocalPin:
        if cid not in self.complete:
            await self._disk.flush()
        self.complete.add(cid)
        return LocalPin(cid, True)

    async def unpin(self, cid: CID) -> None:
        self.complete.discard(cid)

    async def get(self, cid: CID) -> LocalPin | None:
        return LocalPin(cid, True) if cid in self.complete else None

    async def pinned(self, after: CID | None = None) -> AsyncIterator[LocalPin]:
        for cid in self.complete:
            yield LocalPin(cid, True)


class Holder:
    """A cluster that gives every pin to one member."""

    def __init__(self, peer: str) -> None:
        self._peer = peer
        self.pins: dict[CID, Pin] = {}

    async def grant(self, cid: CID, wish: Wish, **_: object) -> Granted:
        self.pins[cid] = Pin(cid, wish.options, (self._peer,), 0)
        return Granted(self.pins[cid], None)


def adding(holder: str) -> tuple[AddService, Disk, Holder, Roots]:
    disk = Disk()
    blocks = Blocks(disk, OfflineExchange())
    cluster, roots = Holder(holder), Roots(disk)
    return AddService(disk, blocks, blocks, roots, cluster, US), disk, cluster, roots


async def entries(*contents: bytes) -> AsyncIterator[Entry]:
    for number, data in enumerate(contents):
        yield SourceFile(str(number), pieces([data]))


async def added(to: AddService, wish: Wish | None, *contents: bytes) -> list[Done]:
    return [done async for done in to.add(entries(*contents), profile("unixfs-v1-2025"), wish)]


@pytest.mark.parametrize(
    ("holder", "wish"), [(US, Wish()), (OTHER, Wish()), (US, None)], ids=["here", "elsewhere", "nowhere"]
)
async def test_what_is_added_is_on_the_disk_when_that_is_said(holder, wish):
    to, disk, cluster, _ = adding(holder)
    async for done in to.add(entries(b"one", b"two", b"three"), profile("unixfs-v1-2025"), wish):
        assert done.added.cid.multihash in disk.safe
    assert len(cluster.pins) == (3 if wish else 0)


async def test_a_block_that_came_again_below_a_complete_pin_is_on_the_disk_too():
    to, disk, _, _ = adding(US)
    (first,) = await added(to, Wish(), b"spoilt on the disk later")
    await disk.delete_many([first.added.cid])
    await disk.flush()
    await added(to, Wish(), b"spoilt on the disk later")
    assert first.added.cid.multihash in disk.safe


async def test_a_root_that_is_not_whole_leaves_the_pinset_alone():
    to, disk, cluster, roots = adding(US)
    here, missing = leaf(1), leaf(2)
    root = node([here.cid, missing.cid])
    await disk.put_many([root, here])
    with pytest.raises(PinFailed, match=f"block {missing.cid} is not here"):
        await to.pin_root(root.cid, Wish(PinOptions()))
    assert (cluster.pins, roots.complete) == ({}, set())
    await disk.put_many([missing])
    assert (await to.pin_root(root.cid, Wish())).pin.cid == root.cid
    assert roots.complete == {root.cid}
