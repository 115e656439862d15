"""What a pin costs as the pinset of one node grows; the chart of docs/benchmarks.md.

`python -m benchmarks.pinset_growth MOST CSV SVG`, e.g. 10000000: pins in bulk, and at each step processor
time a pin, disk a pin, memory, and a look-up by name.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.growth_chart import draw
from benchmarks.pin_load import disk_bytes, post_in_bulk
from benchmarks.sides import Pinfold, pinfold

_SAMPLE = 50_000  # pins over which the cost at a step is taken
_STEPS = (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000)


@dataclass(frozen=True, slots=True)
class Step:
    """At that many pins: what one more costs, bytes of all files a pin, memory, a look-up."""

    pins: int
    cpu_us: float
    wall_us: float
    disk: float
    rss_mb: float
    look_up_ms: float


def grow(folder: Path, most: int) -> Iterator[Step]:
    """One node; each step is yielded when it is reached."""
    with pinfold(folder / "p") as side:
        done = 0
        for pins in (step for step in _STEPS if step <= most):
            sample = min(_SAMPLE, (pins - done) // 2)
            post_in_bulk(side.node.addresses()["api"], range(done, pins - sample))
            yield _step(side, pins, range(pins - sample, pins))
            done = pins


def _step(side: Pinfold, pins: int, sample: Sequence[int]) -> Step:
    api, pid = side.node.addresses()["api"], _pid(side)
    cpu, began = _cpu(pid), time.perf_counter()
    post_in_bulk(api, sample)
    wall = time.perf_counter() - began
    cpu = _cpu(pid) - cpu
    micro = 1e6 / len(sample)
    return Step(
        pins, cpu * micro, wall * micro, disk_bytes(side.node.folder) / pins, side.rss(), _look_up(api, pins)
    )


def _pid(side: Pinfold) -> int:
    return int(json.loads((side.node.folder / "addresses.json").read_text())["pid"])


def _cpu(pid: int) -> float:
    """Processor seconds of the process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _look_up(api: str, pins: int) -> float:
    """Milliseconds of the fastest of five requests for one pin by its name."""
    return min(_timed(f"{api}/v1/pins?name=pin-{pins * part // 7}") for part in range(1, 6)) * 1000


def _timed(url: str) -> float:
    began = time.perf_counter()
    with urllib.request.urlopen(url, timeout=60) as answer:
        if answer.read().count(b"\n") != 1:
            raise RuntimeError(f"not one pin: {url}")
    return time.perf_counter() - began


def main(most: str, table: str, chart: str) -> None:
    steps: list[Step] = []
    with tempfile.TemporaryDirectory(prefix="pinfold-growth-") as folder:
        for step in grow(Path(folder), int(most)):
            print(step, flush=True)
            steps.append(step)
            with Path(table).open("w", newline="") as file:
                writer = csv.DictWriter(file, list(asdict(steps[0])))
                writer.writeheader()
                writer.writerows(asdict(one) for one in steps)
    labels = [f"{one.pins:,}" for one in steps]
    Path(chart).write_text(
        draw(
            labels,
            {
                "processor time a pin, µs": [one.cpu_us for one in steps],
                "disk a pin, bytes": [one.disk for one in steps],
                "RSS, MB": [one.rss_mb for one in steps],
            },
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:4])
