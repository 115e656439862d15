from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

import cbrrr
import libipld
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.dags import cids, leaf, leaves, node, tree
from support.disk import free, small_disk
from support.importing import pieces
from support.sources import joined, source_of

from blockstore.block import MAX_BLOCK_BYTES, Block
from blockstore.blocks import Blocks, OfflineExchange
from blockstore.car.importer import CarSummary, import_car
from blockstore.car.reader import read_car
from blockstore.car.writer import car_stream, export_car
from blockstore.cid import CID
from blockstore.common import varint
from blockstore.disk.staging import Staging
from blockstore.errors import BadCar, HashMismatch, StorageFull
from blockstore.memory_store import MemoryBlockstore

BLOCKS = tree(4, 2)
ROOT = BLOCKS[0].cid


async def written(roots: Sequence[CID], blocks: Sequence[Block]) -> bytes:
    async def each() -> AsyncGenerator[Block]:
        for block in blocks:
            yield block

    return await joined(car_stream(roots, each()))


def cut(data: bytes, size: int) -> AsyncIterator[bytes]:
    return pieces(data[start : start + size] for start in range(0, len(data), size))


def kept_in(store: MemoryBlockstore) -> Blocks:
    return Blocks(store, OfflineExchange())


async def stored(store: MemoryBlockstore) -> list[CID]:
    keys = store.keys()
    return [key async for key in keys]


def section(cid: bytes, data: bytes) -> bytes:
    return varint.encode(len(cid) + len(data)) + cid + data


def header(**fields: cbrrr.DagCborTypes) -> bytes:
    body = cbrrr.encode_dag_cbor(fields)
    return varint.encode(len(body)) + body


def link(cid: CID) -> cbrrr.CID:
    return cbrrr.CID(bytes(cid))


def version_2(
    data: bytes, *, padding: int = 0, index: bytes = b"\x80\x08index", size: int | None = None
) -> bytes:
    offset = 51 + padding
    length = len(data) if size is None else size
    places = bytes(16) + struct.pack("<3Q", offset, length, offset + length)
    return header(version=2) + places + bytes(padding) + data + index


async def read_all(data: bytes, size: int = 1 << 16) -> tuple[tuple[CID, ...], list[Block]]:
    car = await read_car(cut(data, size))
    async with aclosing(car.batches):
        return car.roots, [block async for batch in car.batches for block in batch.blocks]


async def test_a_dag_goes_out_and_comes_back() -> None:
    data = await joined(export_car(await source_of(*BLOCKS), ROOT))
    store = MemoryBlockstore()
    total = sum(len(block.data) for block in BLOCKS)
    assert await import_car(kept_in(store), cut(data, 1000)) == CarSummary((ROOT,), len(BLOCKS), total)
    assert await store.missing(cids(BLOCKS)) == []
    assert await joined(export_car(await source_of(*BLOCKS), ROOT)) == data


async def test_another_library_reads_what_is_written() -> None:
    head, found = libipld.decode_car(await written([ROOT], [Block.of(b"\xa0", 0x71)]))
    assert head == {"roots": [bytes(ROOT)], "version": 1}
    assert list(found.values()) == [{}]


async def test_repeats_are_written_only_when_asked_for() -> None:
    root = node([leaf(1).cid, leaf(1).cid])
    source = await source_of(root, leaf(1))
    once = await read_all(await joined(export_car(source, root.cid)))
    twice = await read_all(await joined(export_car(source, root.cid, duplicates=True)))
    assert [len(once[1]), len(twice[1])] == [2, 3]


@given(st.lists(st.binary(max_size=200), max_size=8), st.integers(1, 300), st.booleans(), st.integers(0, 99))
@settings(max_examples=60)
async def test_any_blocks_in_chunks_of_any_size_read_back(
    payloads: list[bytes], size: int, second_version: bool, padding: int
) -> None:
    blocks = [
        Block.of(payload, version=number % 2, codec=0x55 if number % 2 else 0x70)
        for number, payload in enumerate(payloads)
    ]
    data = await written(cids(blocks), blocks)
    if second_version:
        data = version_2(data, padding=padding)
    assert await read_all(data, size) == (tuple(cids(blocks)), blocks)


async def test_blocks_come_in_batches_of_bounded_size() -> None:
    blocks = leaves(40, size=300_000)
    car = await read_car(cut(await written([], blocks), 1 << 16))
    sizes = [sum(len(block.data) for block in batch.blocks) async for batch in car.batches]
    assert sum(sizes) == 40 * 300_000
    assert max(sizes) <= 4 * 1024 * 1024 + 300_000
    assert len(sizes) == 3


async def test_version_2_is_read_without_its_index() -> None:
    data = await written([ROOT], BLOCKS)
    for index in (b"", b"anything at all"):
        assert await read_all(version_2(data, index=index)) == ((ROOT,), BLOCKS)


GOOD = section(bytes(leaf(1).cid), leaf(1).data)
HEAD = header(version=1, roots=[link(ROOT)])
UNKNOWN_HASH = CID.v1(0x55, b"\xb1\x99\x01\x20" + bytes(32))

BROKEN = {
    "empty": (b"", BadCar),
    "header cut short": (HEAD[:-3], BadCar),
    "header of 3 GiB": (varint.encode(3 << 30) + HEAD, BadCar),
    "header that is no dag-cbor": (b"\x02\xff\xff", BadCar),
    "header of another version": (header(version=3, roots=[]), BadCar),
    "header without roots": (header(version=1), BadCar),
    "roots that are no CIDs": (header(version=1, roots=["x"]), BadCar),
    "roots that are broken CIDs": (header(version=1, roots=[cbrrr.CID(b"\x01\x55")]), BadCar),
    "wrong hash": (HEAD + GOOD + section(bytes(leaf(2).cid), b"other"), HashMismatch),
    "block cut short": (HEAD + GOOD + GOOD[:-1], BadCar),
    "length cut short": (HEAD + GOOD + b"\xff", BadCar),
    "block of 3 GiB": (HEAD + GOOD + varint.encode(3 << 30) + b"x", BadCar),
    "block above what peers exchange": (HEAD + GOOD + varint.encode(MAX_BLOCK_BYTES + 1024), BadCar),
    "length beyond 64 bits": (HEAD + GOOD + b"\xff" * 12, BadCar),
    "block of length 0": (HEAD + GOOD + b"\0", BadCar),
    "block without a CID": (HEAD + GOOD + b"\x03abc", BadCar),
    "CID longer than its block": (HEAD + GOOD + b"\x05\x01\x55\x12\x20\x00", BadCar),
    "version 2 without its header": (header(version=2) + bytes(10), BadCar),
    "version 2 that was not finished": (version_2(b"", index=b""), BadCar),
    "version 2 with data inside its header": (header(version=2) + bytes(40) + HEAD, BadCar),
    "version 2 with less data than it says": (version_2(HEAD + GOOD, index=b"", size=5000), BadCar),
    "version 2 that cuts a block": (version_2(HEAD + GOOD, size=len(HEAD + GOOD) - 1), BadCar),
    "version 2 that begins behind its end": (version_2(HEAD)[:51], BadCar),
    "version 2 in version 2": (version_2(version_2(HEAD)), BadCar),
}


async def test_a_block_that_nobody_can_verify_is_left_out_and_counted() -> None:
    store = MemoryBlockstore()
    strange = section(bytes(UNKNOWN_HASH), b"other")
    summary = await import_car(kept_in(store), cut(HEAD + strange + GOOD + strange, 50))
    assert (summary.blocks, summary.unknown) == (1, 2)
    assert not await store.has(UNKNOWN_HASH)


async def test_a_header_in_another_form_is_read() -> None:
    """Keys in another order, and lengths that are not the shortest."""
    roots = b"\x65roots\x98\x01\xd8\x2a\x58\x25\x00" + bytes(ROOT)
    body = b"\xa2\x67version\x01" + roots
    assert (await read_car(cut(varint.encode(len(body)) + body, 10))).roots == (ROOT,)


@pytest.mark.parametrize(("data", "error"), BROKEN.values(), ids=BROKEN)
async def test_of_a_broken_car_nothing_is_stored(data: bytes, error: type[Exception]) -> None:
    store = MemoryBlockstore()
    await store.put_many([leaf(7)])
    for size in (1, 7, 1 << 16):
        with pytest.raises(error):
            await import_car(kept_in(store), cut(data, size))
        assert await stored(store) == [leaf(7).cid]


async def test_a_break_far_behind_keeps_nothing_either(tmp_path: Path) -> None:
    blocks = leaves(60, size=300_000)
    data = await written([ROOT], blocks)
    store = MemoryBlockstore()
    with pytest.raises(BadCar, match="truncated"):
        await import_car(kept_in(store), cut(data[:-1], 1 << 16), Staging(tmp_path))
    assert (await store.usage()).blocks == 0
    assert os.listdir(tmp_path) == []
    await import_car(kept_in(store), cut(data, 1 << 16), Staging(tmp_path))
    assert (await store.usage()).blocks == 60
    assert os.listdir(tmp_path) == []


async def test_an_import_that_is_cancelled_keeps_nothing() -> None:
    data = await written([ROOT], leaves(10, size=600_000))
    store = MemoryBlockstore()
    arrived = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield data[:-10]
        arrived.set()
        await asyncio.Future()

    importing = asyncio.create_task(import_car(kept_in(store), chunks()))
    await arrived.wait()
    importing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await importing
    assert (await store.usage()).blocks == 0


async def test_a_sender_that_breaks_off_is_its_own_error() -> None:
    store = MemoryBlockstore()

    async def chunks() -> AsyncIterator[bytes]:
        yield HEAD + GOOD
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await import_car(kept_in(store), chunks())
    assert (await store.usage()).blocks == 0


async def test_a_car_above_the_quota_is_refused_before_its_first_block() -> None:
    data = await written([ROOT], leaves(10, size=1000))
    store = MemoryBlockstore(quota=9_000)
    with pytest.raises(StorageFull, match=r"9\.766 KiB"):
        await import_car(kept_in(store), cut(data, 100))
    assert (await store.usage()).blocks == 0


async def test_blocks_that_are_here_already_need_no_room() -> None:
    store = MemoryBlockstore(quota=10_000)
    await store.put_many(leaves(10, size=1000))
    summary = await import_car(kept_in(store), cut(await written([ROOT], leaves(10, size=1000)), 100))
    assert (summary.blocks, summary.bytes) == (10, 10_000)


async def test_inline_blocks_in_a_car_are_passed_over() -> None:
    inline = Block.inline(CID.identity(0x55, b"tiny"))
    store = MemoryBlockstore()
    await import_car(kept_in(store), cut(await written([inline.cid], [inline, leaf(1)]), 100))
    assert await stored(store) == [leaf(1).cid]


@pytest.mark.parametrize("reserve", [0, 8 << 20])
async def test_no_room_for_staging_is_said_plainly(tmp_path: Path, reserve: int) -> None:
    data = await written([ROOT], leaves(60, size=300_000))
    store = MemoryBlockstore()
    with small_disk(tmp_path / "disk", 16) as disk:
        with pytest.raises(StorageFull, match="no room to stage the CAR"):
            await import_car(kept_in(store), cut(data, 1 << 16), Staging(disk, reserve))
        assert free(disk) == 16 << 20
    assert (await store.usage()).blocks == 0
