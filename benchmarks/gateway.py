"""The gateway beside Kubo's: the same content on both, one load generator, in turns."""

from __future__ import annotations

import asyncio
import http.client
import random
import re
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from benchmarks.sides import CHUNKS, MIB, Figure, Side, alternate, both, drop_caches, random_file, seconds
from blockstore.blocks import Blocks, OfflineExchange
from blockstore.car.writer import export_car
from blockstore.memory_store import MemoryBlockstore
from blockstore.unixfs.importing.entries import SourceFile
from blockstore.unixfs.importing.importer import import_entries
from blockstore.unixfs.importing.options import ImportFlags, resolve

BIG = 1024 * MIB
_STREAMS = 16
_READERS = 64
_COLD_FILES = 100
_LOAD_SECONDS = 5
_RUNS = 5


def small_files(folder: Path) -> Iterator[Figure]:
    """1 KiB with 32 connections: one file again and again, then a thousand of them in turns."""
    with both(folder) as sides:
        one = _added(sides, random_file(folder / "one", 1024))
        yield _compare(
            "1 KiB, one file", sides, lambda side: _wrk(side, f"/ipfs/{one}", connections=32), "requests/s"
        )
        tree = _many(folder / "tree", 1000, 1024)
        root = _added(sides, tree, "-r")
        paths = [f"/ipfs/{root}/{index}" for index in range(1000)]
        yield _compare(
            "1 KiB, a thousand files below one root",
            sides,
            lambda side: _wrk(side, paths[0], _in_turns(paths), connections=32),
            "requests/s",
        )


def streams(folder: Path) -> Iterator[Figure]:
    """One stream of 1 GiB, 16 at once of the same file and of different ones, and random ranges."""
    with both(folder) as sides:
        path = f"/ipfs/{_added(sides, random_file(folder / 'big', BIG))}"
        yield _compare("stream 1 GiB", sides, lambda side: _curl(side, [path], BIG), "MB/s")
        yield _compare(
            f"{_STREAMS} streams of one file of 1 GiB",
            sides,
            lambda side: _curl(side, [path] * _STREAMS, BIG),
            "MB/s",
            3,
        )
        size = BIG // _STREAMS
        names = range(_STREAMS)
        paths = [f"/ipfs/{_added(sides, random_file(folder / f'{name}', size))}" for name in names]
        yield _compare(
            f"{_STREAMS} streams of {_STREAMS} files of 64 MiB",
            sides,
            lambda side: _curl(side, paths, size),
            "MB/s",
        )
        for size, name in ((64 * 1024, "64 KiB"), (MIB, "1 MiB")):
            yield _compare(
                f"ranges of {name} in 1 GiB",
                sides,
                partial(_wrk_ranges, path=path, size=size),
                "requests/s",
            )


def memory(folder: Path) -> Iterator[Figure]:
    """RSS while 64 clients stream files of 1 GiB, as fast as they can and then slowly."""
    with both(folder) as sides:
        path = f"/ipfs/{_added(sides, random_file(folder / 'big', BIG))}"
        for name, limit in (("", ()), (" at 2 MB/s each", ("--limit-rate", "2M"))):
            ours, theirs = (_peak(side, path, limit) for side in sides)
            yield Figure(f"RSS, {_READERS} streams{name}", ours, theirs, "MB", smaller_is_better=True)


def first_bytes(folder: Path) -> Iterator[Figure]:
    """Files that nobody has asked for since the daemons started: from the disk, then from its cache."""
    with both(folder) as sides:
        files = {
            name: [random_file(folder / f"{name}-{index}", size) for index in range(_COLD_FILES)]
            for name, size in (("64 KiB", 64 * 1024), ("1 MiB", MIB))
        }
        paths = {name: [f"/ipfs/{_added(sides, file)}" for file in files[name]] for name in files}
    for where, prepare in (("on disk", drop_caches), ("in the page cache", lambda: None)):
        with both(folder) as sides:
            for name, own in paths.items():
                prepare()
                for side in sides:  # the programs themselves are not what is measured
                    _fetch(side, own[0])
                figures = _in_pairs(sides, own[1:])
                yield Figure(f"first byte, {name} {where}", *figures, "ms", True)


def _in_pairs(sides: Sequence[Side], paths: Sequence[str]) -> tuple[float, float]:
    """The median of milliseconds until the first byte of each path, the sides in turns."""
    times: list[list[float]] = [[], []]
    for index, path in enumerate(paths):
        for which in (0, 1) if index % 2 else (1, 0):
            times[which].append(_fetch(sides[which], path)[0] * 1000)
    return median(times[0]), median(times[1])


def listings(folder: Path) -> Iterator[Figure]:
    """Directory pages of 10 000 entries in one block, and of 10 000 and 100 000 in a HAMT."""
    flat = ImportFlags(hamt_threshold=1 << 30)
    with both(folder) as sides:
        for count, flags in ((10_000, flat), (10_000, ImportFlags()), (100_000, ImportFlags())):
            name = f"{count:,} entries{' in one block' if flags is flat else ''}".replace(",", " ")
            car = folder / f"{name}.car"
            root = asyncio.run(_directory(car, count, flags))
            for side in sides:
                side.import_car(car)
            path = f"/ipfs/{root}/"
            for what, part in (("first byte", 0), ("whole page", 1)):
                yield _compare(
                    f"directory of {name}, {what}",
                    sides,
                    partial(_milliseconds, path=path, part=part),
                    "ms",
                    smaller_is_better=True,
                )


def _compare(
    what: str,
    sides: Sequence[Side],
    work: Callable[[Side], float],
    unit: str,
    runs: int = _RUNS,
    *,
    smaller_is_better: bool = False,
) -> Figure:
    medians = alternate(runs, sides, work)
    return Figure(what, *medians, unit, smaller_is_better)


def _added(sides: Sequence[Side], path: Path, *options: str) -> str:
    """The CID, which is the same on both."""
    (cid,) = {side.run("add", "-Q", *CHUNKS, *options, str(path)) for side in sides}
    return cid


def _many(tree: Path, count: int, size: int) -> Path:
    tree.mkdir()
    for index in range(count):
        random_file(tree / str(index), size)
    return tree


async def _directory(car: Path, count: int, flags: ImportFlags) -> str:
    """A CAR of a folder with that many files, some bytes each; its root."""
    blocks = Blocks(MemoryBlockstore(), OfflineExchange())
    options = resolve("unixfs-v1-2025", flags)
    added = [one async for one in import_entries(_entries(count), blocks, options)]
    root = added[-1].cid
    with car.open("wb") as file:
        async for piece in export_car(blocks, root):
            file.write(piece)
    return str(root)


async def _entries(count: int) -> AsyncIterator[SourceFile]:
    for index in range(count):
        yield SourceFile(f"folder/photo {index:06}.jpeg", _once(str(index).encode()))


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


# The load.


def _curl(side: Side, paths: Sequence[str], size: int) -> float:
    """MB/s of all of them together, each of that size."""
    commands = [["curl", "-sf", "-o", "/dev/null", side.gateway_url() + path] for path in paths]

    def all_of_them() -> None:
        running = [subprocess.Popen(command) for command in commands]
        if any(client.wait() for client in running):
            raise RuntimeError(f"{side.name}: curl failed")

    return len(paths) * size / 1e6 / seconds(all_of_them)


def _fetch(side: Side, path: str) -> tuple[float, float]:
    """Seconds until the first byte of the body and until its end, on a connection of its own."""
    connection = http.client.HTTPConnection(urlsplit(side.gateway_url()).netloc)
    try:
        connection.connect()
        began = time.perf_counter()
        connection.request("GET", path)
        response = connection.getresponse()
        if response.status != 200 or not response.read(1):
            raise RuntimeError(f"{side.name}: {response.status}")
        first = time.perf_counter() - began
        while response.read(MIB):
            pass
        return first, time.perf_counter() - began
    finally:
        connection.close()


def _milliseconds(side: Side, path: str, part: int) -> float:
    return _fetch(side, path)[part] * 1000


def _peak(side: Side, path: str, limit: Sequence[str]) -> float:
    """The most memory seen in ten seconds of that load."""
    command = ["curl", "-sf", "-m", "10", *limit, "-o", "/dev/null", side.gateway_url() + path]
    running = [subprocess.Popen(command) for _ in range(_READERS)]
    peak = 0.0
    while any(client.poll() is None for client in running):
        peak = max(peak, side.rss())
        time.sleep(0.1)
    return peak


def _wrk(side: Side, path: str, script: str = "", *, connections: int) -> float:
    """Requests a second; every one of them has to succeed."""
    with _script(script) as options:
        load = ["wrk", "-t1", f"-c{connections}", f"-d{_LOAD_SECONDS}", *options]
        output = subprocess.run(
            [*load, side.gateway_url() + path], capture_output=True, text=True, check=True
        ).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if found is None or "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(f"{side.name}: {output}")
    return float(found[1])


def _wrk_ranges(side: Side, path: str, size: int) -> float:
    return _wrk(side, path, _ranges(size), connections=8)


@contextmanager
def _script(text: str) -> Iterator[list[str]]:
    if not text:
        yield []
        return
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(text)
        file.flush()
        yield ["-s", file.name]


def _in_turns(paths: Sequence[str]) -> str:
    listed = ", ".join(f'"{path}"' for path in paths)
    return (
        f"local paths = {{{listed}}}\nlocal at = 0\n"
        "request = function()\n"
        "  at = at % #paths + 1\n"
        '  return wrk.format("GET", paths[at])\n'
        "end\n"
    )


def _ranges(size: int) -> str:
    starts = ", ".join(str(random.randrange(BIG - size)) for _ in range(1000))
    return (
        f"local starts = {{{starts}}}\nlocal at = 0\n"
        "request = function()\n"
        "  at = at % #starts + 1\n"
        f'  local range = "bytes=" .. starts[at] .. "-" .. (starts[at] + {size - 1})\n'
        '  return wrk.format("GET", nil, {["Range"] = range})\n'
        "end\n"
    )
