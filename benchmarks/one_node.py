"""Adding, serving, starting and memory of one node."""

from __future__ import annotations

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
        yield Figure("add 1 GiB", *alternate(3, sides, add), "MB/s")
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
            *alternate(3, sides, add),
            "files/s",
        )
