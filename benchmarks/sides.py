"""The two sides of every comparison, driven the same way: real processes, command line and HTTP."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Protocol

from nodes import NodeProcess
from support.kubo import Kubo

MIB = 1 << 20
CHUNKS = ("--cid-version=1", "--raw-leaves", "--chunker=size-1048576")


class Side(Protocol):
    """One running node."""

    @property
    def name(self) -> str: ...

    def run(self, *arguments: str) -> str: ...

    def import_car(self, car: Path) -> None: ...

    def gateway_url(self) -> str: ...

    def rss(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Pinfold:
    node: NodeProcess
    name: str = "pinfold"

    def run(self, *arguments: str) -> str:
        return self.node.run(*arguments)

    def import_car(self, car: Path) -> None:
        self.node.run("car", "import", "--no-pin", str(car))

    def gateway_url(self) -> str:
        return self.node.addresses()["gateway"]

    def rss(self) -> float:
        return self.node.rss()


@dataclass(frozen=True, slots=True)
class KuboSide:
    kubo: Kubo
    process: subprocess.Popen[bytes]
    name: str = "kubo"

    def run(self, *arguments: str) -> str:
        return self.kubo.run(*arguments)

    def import_car(self, car: Path) -> None:
        self.kubo.run("dag", "import", "--pin-roots=false", str(car))

    def gateway_url(self) -> str:
        return self.kubo.gateway

    def rss(self) -> float:
        return resident(self.process.pid)


@dataclass(frozen=True, slots=True)
class Figure:
    """One comparison: ours and theirs in `unit`; `ratio` above 1 is better for us."""

    what: str
    ours: float
    theirs: float
    unit: str
    smaller_is_better: bool = False

    @property
    def ratio(self) -> float:
        if not self.ours or not self.theirs:
            return 0.0
        return self.theirs / self.ours if self.smaller_is_better else self.ours / self.theirs

    def __str__(self) -> str:
        ratio = f"{self.ratio:.2f}" if self.ratio else "-"
        theirs = f"{self.theirs:,.1f}" if self.theirs else "-"
        return f"| {self.what} | {self.ours:,.1f} {self.unit} | {theirs} | {ratio} |"


@contextmanager
def pinfold(folder: Path, join: str = "") -> Iterator[Pinfold]:
    """A running Pinfold node in that folder, set up first where it is not."""
    node = NodeProcess(str(Path(sys.executable).with_name("pinfold")), folder)
    if not folder.exists():
        node.run("init", *(["--join", join] if join else []))
    node.start()
    try:
        yield Pinfold(node)
    finally:
        node.stop()


@contextmanager
def kubo(folder: Path) -> Iterator[KuboSide]:
    """A running Kubo on loopback in that folder."""
    daemon = Kubo(folder)
    with daemon.running() as process:
        yield KuboSide(daemon, process)


@contextmanager
def both(folder: Path) -> Iterator[tuple[Side, Side]]:
    with ExitStack() as stack:
        yield stack.enter_context(pinfold(folder / "p")), stack.enter_context(kubo(folder / "k"))


def resident(pid: int) -> float:
    """RSS of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def alternate(runs: int, sides: Sequence[Side], work: Callable[[Side], float]) -> tuple[float, float]:
    """The median of the work's figure at ours and at theirs; their order turns round after each run."""
    figures: tuple[list[float], list[float]] = ([], [])
    for run in range(runs):
        for index in (0, 1) if run % 2 else (1, 0):
            figures[index].append(work(sides[index]))
    return median(figures[0]), median(figures[1])


def random_file(path: Path, size: int) -> Path:
    """Fresh random content, so that nothing is stored already."""
    source = random.Random()
    with path.open("wb") as file:
        for _ in range(size // MIB):
            file.write(source.randbytes(MIB))
        file.write(source.randbytes(size % MIB))
    return path


def drop_caches() -> None:
    """Have the system forget the files that it keeps in memory. Raises PermissionError but for root."""
    subprocess.run(["sync"], check=True)
    Path("/proc/sys/vm/drop_caches").write_text("3")
