"""Adding, serving, starting and memory of one node."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.sides import CHUNKS, MIB, Figure, Side, alternate, both, random_file, seconds

BIG = 1024 * MIB


def add_one_file(folder: Path) -> Iterator[Figure]:
    """1 GiB, CIDv1, raw leaves, 1 MiB chunks; with what it does to our memory."""
    with both(folder) as sides:
        idle = [side.rss() for side in sides]

        def add(side: Side) -> float:
            file = random_file(folder / f"{side.name}.bin", BIG)
            return BIG / 1e6 / seconds(lambda: side.run("add", "-Q", *CHUNKS, str(file)))

        yield Figure("idle RSS", idle[0], idle[1], "MB", smaller_is_better=True)
        yield Figure("add 1 GiB", *alternate(3, *(lambda side=side: add(side) for side in sides)), "MB/s")
        grown = [side.rss() - before for side, before in zip(sides, idle, strict=True)]
        yield Figure("RSS grown by adding 1 GiB", grown[0], grown[1], "MB", smaller_is_better=True)


def add_small_files(folder: Path) -> Iterator[Figure]:
    """20 000 files of 4 KiB in 100 folders."""
    with both(folder) as sides:

        def add(side: Side) -> float:
            tree = folder / "tree"
            for index in range(20_000):
                place = tree / str(index % 100)
                place.mkdir(parents=True, exist_ok=True)
                random_file(place / str(index), 4096)
            return 20_000 / seconds(lambda: side.run("add", "-Q", "-r", "--cid-version=1", str(tree)))

        yield Figure(
            "add 20 000 files of 4 KiB",
            *alternate(3, *(lambda side=side: add(side) for side in sides)),
            "files/s",
        )


def gateway(folder: Path) -> Iterator[Figure]:
    """1 KiB with 32 connections, and one stream of 1 GiB."""
    with both(folder) as sides:
        small, big = random_file(folder / "small", 1024), random_file(folder / "big", BIG)
        paths = {
            side.name: [side.run("add", "-Q", *CHUNKS, str(file)) for file in (small, big)] for side in sides
        }

        def load(side: Side) -> float:
            return _wrk(f"{side.gateway_url()}/ipfs/{paths[side.name][0]}")

        def stream(side: Side) -> float:
            url = f"{side.gateway_url()}/ipfs/{paths[side.name][1]}"
            return (
                BIG
                / 1e6
                / seconds(lambda: subprocess.run(["curl", "-sf", "-o", "/dev/null", url], check=True))
            )

        yield Figure(
            "gateway, 1 KiB", *alternate(3, *(lambda side=side: load(side) for side in sides)), "requests/s"
        )
        yield Figure(
            "gateway, 1 GiB", *alternate(3, *(lambda side=side: stream(side) for side in sides)), "MB/s"
        )


def _wrk(url: str) -> float:
    output = subprocess.run(
        ["wrk", "-t1", "-c32", "-d5", url], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if found is None or "Non-2xx" in output:
        raise RuntimeError(output)
    return float(found[1])
