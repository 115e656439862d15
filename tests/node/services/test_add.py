"""When an add is answered: after its blocks are on the disk, and pinned where it is to be held here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from aiohttp import ClientSession, FormData
from support.dags import leaf, node
from support.exchanges import RemoteBlocks
from support.importing import pieces
from support.memory_cluster import MemoryCluster
from support.node import running_node

from blockstore.block import Block
from blockstore.blocks import Blocks, OfflineExchange
from blockstore.cid import CID, RAW
from blockstore.memory_store import MemoryBlockstore
from blockstore.pinning.local_pinner import open_local_pins
from blockstore.unixfs.importing.entries import Entry, SourceFile
from blockstore.unixfs.importing.importer import import_entries
from blockstore.unixfs.importing.options import profile
from blockstore.upkeep import Reservation, unreserved
from cluster.cluster import Cluster
from cluster.pin import Pin, PinOptions, Status, Wish
from cluster.ports import PinFailed
from cluster.settings import ClusterSettings
from node.services.add import AddResult, AddService
from node.services.local_pins import ClusterLocalPins

LAYOUT = profile("unixfs-v1-2025")


class Disk(MemoryBlockstore):
    """A store that knows what of it would survive a power failure, and how often it was synced and read."""

    def __init__(self) -> None:
        super().__init__()
        self.drops_leaves = False
        self.safe: set[bytes] = set()
        self.flushes = 0
        self.read: list[CID] = []

    @contextmanager
    def protect(self) -> Iterator[None]:
        yield

    def reserve(self) -> AbstractContextManager[Reservation]:
        return unreserved()

    async def flush(self) -> None:
        self.flushes += 1
        self.safe = {cid.multihash async for cid in self.keys()}

    async def get_many(self, cids: Sequence[CID]) -> list[Block | None]:
        self.read += cids
        return await super().get_many(cids)

    async def put_many(self, blocks: Sequence[Block]) -> None:
        await super().put_many([one for one in blocks if not (self.drops_leaves and one.cid.codec == RAW)])


class World:
    """One member of a cluster of two that adds to a disk, through its real tracker and local pins."""

    def __init__(
        self, disk: Disk, cluster: Cluster, adding: AddService, other: str, memory: MemoryCluster
    ) -> None:
        self.disk = disk
        self.cluster = cluster
        self.adding = adding
        self.other = other
        self.memory = memory

    @property
    def pins(self) -> dict[CID, Pin]:
        return self.memory.shared.pins

    async def status(self, cid: CID) -> Status:
        return (await self.cluster.tracking.status(cid)).status

    async def add(self, wish: Wish | None, *contents: bytes) -> list[AddResult]:
        to = self.adding.add(entries(*contents), LAYOUT, wish)
        return [result async for result in to]


@asynccontextmanager
async def adding(folder: Path, remote: RemoteBlocks | None = None, workers: int = 10) -> AsyncIterator[World]:
    memory = MemoryCluster(2, settings=ClusterSettings(concurrent_pins=workers))
    us, other = memory.machines
    disk = Disk()
    exchange = remote or OfflineExchange()
    here = Blocks(disk, OfflineExchange())
    async with (
        open_local_pins(folder / "pins.db", Blocks(disk, exchange)) as local_pins,
        memory.member(0, ClusterLocalPins(local_pins)) as cluster,
        memory.member(1),
    ):
        disk.flushes = 0  # opening is not adding
        service = AddService(disk, here, here, cluster, cluster.tracking, us.peer)
        yield World(disk, cluster, service, other.peer, memory)


async def entries(*contents: bytes) -> AsyncIterator[Entry]:
    for number, data in enumerate(contents):
        yield SourceFile(str(number), pieces([data]))


@pytest.mark.parametrize("where", ["here", "elsewhere", "nowhere"])
async def test_what_is_added_is_on_the_disk_when_that_is_said(tmp_path: Path, where: str) -> None:
    async with adding(tmp_path) as world:
        elsewhere = PinOptions(replication_min=1, replication_max=1, user_allocations=(world.other,))
        wish = {"here": Wish(), "elsewhere": Wish(elsewhere), "nowhere": None}[where]
        to = world.adding.add(entries(b"one", b"two", b"three"), LAYOUT, wish)
        expected = {"here": Status.PINNED, "elsewhere": Status.REMOTE, "nowhere": Status.UNPINNED}[where]
        async for result in to:
            assert result.added.cid.multihash in world.disk.safe
            assert await world.status(result.added.cid) is expected
        assert len(world.pins) == (3 if wish else 0)


async def test_one_walk_and_one_flush(tmp_path: Path) -> None:
    async with adding(tmp_path) as world:
        (result,) = await world.add(Wish(), bytes(3_000_000))  # a node over leaves
        assert result.added.cid.codec != RAW
        assert (world.disk.read.count(result.added.cid), world.disk.flushes) == (1, 1)


async def test_one_walk_and_one_flush_at_a_whole_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushes: list[None] = []
    read: list[CID] = []
    async with running_node(tmp_path) as running, ClientSession() as client:
        store = running.parts.store
        flush, get_many = store.flush, store.get_many

        async def counted_flush() -> None:
            flushes.append(None)
            await flush()

        async def counted_read(cids: Sequence[CID]) -> list[Block | None]:
            read.extend(cids)
            return await get_many(cids)

        monkeypatch.setattr(store, "flush", counted_flush)
        monkeypatch.setattr(store, "get_many", counted_read)
        form = FormData()
        form.add_field("file", BytesIO(bytes(range(250)) * 20_000), filename="five megabytes")
        async with client.post(f"{running.faces.api.url}/add", data=form) as answer:
            root = CID.parse((await answer.json())["cid"])
        async with client.get(f"{running.faces.api.url}/pins/{root}?local=true") as answer:
            said = (await answer.json())["peer_map"][running.parts.peer]["status"]
    assert (said, read.count(root), len(flushes)) == ("pinned", 1, 1)


async def test_an_add_does_not_wait_behind_fetches(tmp_path: Path) -> None:
    hopeless = [leaf(number) for number in range(30)]
    remote = RemoteBlocks(hopeless)
    remote.hold()
    async with adding(tmp_path, remote, workers=2) as world:
        for block in hopeless:
            await world.cluster.pin(block.cid, PinOptions())
        async with asyncio.timeout(30):
            await remote.until_running(2)
            results = await world.add(Wish(), *(b"%d" % number for number in range(20)))
        for result in results:
            assert await world.status(result.added.cid) is Status.PINNED


async def test_a_block_that_came_again_below_a_complete_pin_is_on_the_disk_too(tmp_path: Path) -> None:
    async with adding(tmp_path) as world:
        (first,) = await world.add(Wish(), b"spoilt on the disk later")
        await world.disk.delete_many([first.added.cid])
        await world.disk.flush()
        await world.add(Wish(), b"spoilt on the disk later")
        assert first.added.cid.multihash in world.disk.safe


async def test_a_root_that_is_not_whole_leaves_the_pinset_alone(tmp_path: Path) -> None:
    async with adding(tmp_path) as world:
        here, missing = leaf(1), leaf(2)
        root = node([here.cid, missing.cid])
        await world.disk.put_many([root, here])
        with pytest.raises(PinFailed, match=f"block {missing.cid} is not here"):
            await world.adding.pin_root(root.cid, Wish(PinOptions()))
        assert (world.pins, await world.status(root.cid)) == ({}, Status.UNPINNED)
        await world.disk.put_many([missing])
        assert (await world.adding.pin_root(root.cid, Wish())).pin.cid == root.cid
        assert await world.status(root.cid) is Status.PINNED


async def test_a_walk_that_fails_is_told_and_tried_again(tmp_path: Path) -> None:
    async with adding(tmp_path) as world:
        world.disk.drops_leaves = True
        with pytest.raises(PinFailed, match=r"is to be pinned here, but is not yet: .*; it is tried again"):
            await world.add(Wish(), bytes(3_000_000))
        ((cid, _),) = world.pins.items()
        info = await world.cluster.tracking.status(cid)
        assert info.status is Status.PIN_ERROR
        assert info.attempts in (1, 2), "what the change began, and what the add then asked for"
        assert info.retry_at is not None


async def test_a_client_that_leaves_while_a_root_is_pinned_leaves_nothing_half_done(tmp_path: Path) -> None:
    data = bytes(3_000_000)
    elsewhere = Disk()
    async for _ in import_entries(entries(data), Blocks(elsewhere, OfflineExchange()), LAYOUT):
        pass
    remote = RemoteBlocks([await elsewhere.get(cid) async for cid in elsewhere.keys()])  # noqa: SIM118 - an async generator, no dict
    remote.hold()
    async with adding(tmp_path, remote) as world:
        world.disk.drops_leaves = True
        client = asyncio.create_task(world.add(Wish(), data))
        await remote.until_running(1)
        client.cancel()
        ((cid, _),) = world.pins.items()
        assert await world.status(cid) is Status.PINNING
        remote.released.set()
        with pytest.raises(asyncio.CancelledError):
            await client
        assert await world.status(cid) is Status.PINNED
