"""`make demo`: three nodes on loopback add, replicate, lose one by kill -9, read it all back, catch up."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import sysconfig
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from nodes import NodeProcess, wait_until

T = TypeVar("T")
MB = 1_000_000
BIG = int(os.environ.get("DEMO_BYTES", 1 << 30))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="pinfold-demo-") as scratch:
        nodes = [
            NodeProcess(str(Path(sys.executable).with_name("pinfold")), Path(scratch) / name)
            for name in "abc"
        ]
        try:
            run(nodes, Path(scratch))
        finally:
            for node in nodes:
                if node.process is not None and node.process.poll() is None:
                    node.stop()


def run(nodes: list[NodeProcess], scratch: Path) -> None:
    a, b, c = nodes
    say("three nodes: one starts a cluster, two join by token")
    a.run("init", "--name", "a")
    a.start()
    for node, name in ((b, "b"), (c, "c")):
        node.run("init", "--name", name, "--join", a.run("cluster", "invite"))
        node.start()
    idle = [node.rss() for node in nodes]
    wait_until("three members", lambda: a.run("peers").count("online") == 3, 60)

    tree, big = make_tree(scratch / "tree"), make_file(scratch / "big.bin")
    count = sum(1 for _ in files(tree))
    say(f"adding {count} files ({size(tree) / MB:.0f} MB) and one of {BIG / MB:.0f} MB at a")
    tree_cid, tree_add = timed(
        lambda: a.run("add", "-r", "-Q", "--replication-min", "2", "--replication-max", "3", str(tree))
    )
    big_cid, big_add = timed(
        lambda: a.run("add", "-Q", "--replication-min", "2", "--replication-max", "3", str(big))
    )
    _, spread = timed(lambda: wait_until("replicated", lambda: whole(b, tree_cid) and whole(b, big_cid), 600))

    say("kill -9 of a, which added it all; reading everything back through b")
    loaded = [node.rss() for node in nodes]
    a.kill()
    _, read_big = timed(lambda: compare(b, f"/ipfs/{big_cid}", big))
    for file in files(tree):
        compare(b, f"/ipfs/{tree_cid}/" + urllib.parse.quote(str(file.relative_to(tree))), file)
    late = b.run("add", "-Q", str(make_file(scratch / "late.bin", 1 << 20)))

    say("starting a again: it catches up")
    a.start()
    _, caught_up = timed(lambda: wait_until("a is whole", lambda: whole(a, late) and whole(a, big_cid), 120))
    table(
        (
            "add, tree",
            f"{size(tree) / MB / tree_add:.0f} MB/s ({count / tree_add:.0f} files/s)",
        ),
        ("add, one file", f"{BIG / MB / big_add:.0f} MB/s"),
        (
            "replication to two more",
            f"{spread:.1f} s after the add ({2 * (BIG + size(tree)) / MB / (spread + big_add):.0f} MB/s)",
        ),
        ("read back through b", f"{BIG / MB / read_big:.0f} MB/s, every byte compared"),
        ("catch-up after kill -9", f"{caught_up:.1f} s"),
        ("RSS idle, a b c", " ".join(f"{value:.0f}" for value in idle) + " MB"),
        ("RSS loaded, a b c", " ".join(f"{value:.0f}" for value in loaded) + " MB"),
    )


def whole(node: NodeProcess, cid: str) -> bool:
    """Whether every member says that it holds the pin."""
    statuses = node.statuses(cid)
    return len(statuses) == 3 and set(statuses) == {"pinned"}


def make_tree(path: Path) -> Path:
    """A real tree of thousands of files: the standard library."""
    ignore = shutil.ignore_patterns("__pycache__", "site-packages", "lib-dynload")
    return Path(shutil.copytree(sysconfig.get_path("stdlib"), path, ignore=ignore, symlinks=True))


def make_file(path: Path, length: int = BIG) -> Path:
    with path.open("wb") as file:
        for index in range(length >> 20):
            file.write(hashlib.shake_128(f"{path.name} {index}".encode()).digest(1 << 20))
    return path


def files(tree: Path) -> Iterator[Path]:
    return (
        path for path in tree.rglob("*") if path.is_file() and not path.is_symlink() and visible(path, tree)
    )


def visible(path: Path, tree: Path) -> bool:
    return not any(part.startswith(".") for part in path.relative_to(tree).parts)


def size(tree: Path) -> int:
    return sum(file.stat().st_size for file in files(tree))


def compare(node: NodeProcess, path: str, file: Path) -> None:
    """Read through the gateway and compare byte for byte."""
    with urllib.request.urlopen(node.gateway(path)) as response, file.open("rb") as original:
        while expected := original.read(1 << 20):
            if response.read(len(expected)) != expected:
                raise AssertionError(f"{path} differs from {file}")
        assert not response.read(1), f"{path} is longer than {file}"


def timed(work: Callable[[], T]) -> tuple[T, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def say(text: str) -> None:
    print(f"-- {text}", flush=True)


def table(*rows: tuple[str, str]) -> None:
    for name, figure in rows:
        print(f"{name:<26} {figure}")


if __name__ == "__main__":
    main()
