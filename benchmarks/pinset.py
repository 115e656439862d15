"""The pinset of two members: pins taken, listed and caught up with, beside two peers of ipfs-cluster.

Pins are identity CIDs: there is nothing to fetch, so it is the pinset that is measured.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Protocol

from nodes import wait_until
from support.ipfs_cluster import ClusterPeer

from benchmarks.pin_load import disk_bytes, identity_cid, post_in_bulk, post_one_by_one
from benchmarks.sides import Figure, Pinfold, kubo, pinfold, resident

PINS = 20_000
MISSED = 10_000
_MISSED_FROM, _BULK_FROM = 10**6, 10**7


class RestMember(Protocol):
    """One member of a cluster, by its REST API."""

    @property
    def api(self) -> str: ...

    def stopped(self) -> AbstractContextManager[None]:
        """Not running while the block lasts."""
        ...


class PinfoldMember:
    """One of ours."""

    def __init__(self, side: Pinfold) -> None:
        self._node = side.node

    @property
    def api(self) -> str:
        return self._node.addresses()["api"]

    @property
    def pid(self) -> int:
        assert self._node.process is not None
        return self._node.process.pid

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self._node.stop()
        yield
        self._node.start()


class IpfsClusterMember:
    """One of theirs; its Kubo goes on running."""

    def __init__(self, peer: ClusterPeer) -> None:
        self._peer = peer
        self._running = ExitStack()
        self._running.enter_context(peer.running())

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self._peer.ports['api']}"

    def close(self) -> None:
        self._running.close()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self._running.close()
        yield
        self._running.enter_context(self._peer.running())


def pinset(folder: Path) -> Iterator[Figure]:
    """All figures of two members on each side, one side after the other."""
    with _ours(folder) as members:
        ours = _measured(members)
        bulk = _bulk(members)
        size = sum(disk_bytes(folder / f"p{index}") for index in range(2)) / 2 / (PINS + MISSED + 5 * PINS)
        memory = sum(resident(member.pid) for member in members) / 2
    with _theirs(folder) as others:
        theirs = _measured(others)
    yield Figure("pins by REST, one a request, 32 clients", ours["ingest"], theirs["ingest"], "pins/s")
    yield Figure("pins in bulk, against theirs by REST", bulk, theirs["ingest"], "pins/s")
    yield Figure("GET /allocations", ours["allocations"], theirs["allocations"], "pins/s")
    yield Figure("GET /allocations, first byte", *_pair(ours, theirs, "allocations first"), "ms", True)
    yield Figure("GET /pins", ours["pins"], theirs["pins"], "pins/s")
    yield Figure("GET /pins, first byte", *_pair(ours, theirs, "pins first"), "ms", True)
    yield Figure("a member that missed 10 000 has them", *_pair(ours, theirs, "catch-up"), "s", True)
    yield Figure("disk a pin, all files", size, 0, "bytes", True)
    yield Figure("RSS of a member after it all", memory, 0, "MB", True)


def _pair(ours: dict[str, float], theirs: dict[str, float], name: str) -> tuple[float, float]:
    return ours[name], theirs[name]


@contextmanager
def _ours(folder: Path) -> Iterator[Sequence[PinfoldMember]]:
    with ExitStack() as stack:
        first = stack.enter_context(pinfold(folder / "p0"))
        second = stack.enter_context(pinfold(folder / "p1", first.run("cluster", "invite")))
        wait_until("two members", lambda: first.run("peers").count("online") == 2, 60)
        yield PinfoldMember(first), PinfoldMember(second)


@contextmanager
def _theirs(folder: Path) -> Iterator[Sequence[IpfsClusterMember]]:
    with ExitStack() as stack:
        peers: list[ClusterPeer] = []
        members: list[IpfsClusterMember] = []
        for index in range(2):
            daemon = stack.enter_context(kubo(folder / f"k{index}"))
            peers.append(ClusterPeer(folder / f"c{index}", daemon.kubo, peers[0] if peers else None))
            members.append(IpfsClusterMember(peers[-1]))
            stack.callback(members[-1].close)
        wait_until("two peers", lambda: len(peers[0].peers()) == 2, 60)
        yield members


def _measured(members: Sequence[RestMember]) -> dict[str, float]:
    first, second = members
    ingest = PINS / asyncio.run(post_one_by_one(first.api, range(PINS)))
    _listed(second, range(PINS))
    with second.stopped():
        asyncio.run(post_one_by_one(first.api, range(_MISSED_FROM, _MISSED_FROM + MISSED)))
        _settled(first)
        began = time.perf_counter()
    _listed(second, range(_MISSED_FROM, _MISSED_FROM + MISSED))
    caught_up = time.perf_counter() - began
    _settled(first)
    _settled(second)
    return {"ingest": ingest, "catch-up": caught_up, **_listings(first)}


def _listings(member: RestMember) -> dict[str, float]:
    figures = {}
    for name in ("allocations", "pins"):
        runs = [_listing(f"{member.api}/{name}") for _ in range(3)]
        figures[name] = median(lines / whole for lines, _, whole in runs)
        figures[f"{name} first"] = median(first for _, first, _ in runs) * 1000
    return figures


def _listing(url: str) -> tuple[int, float, float]:
    """Lines, seconds to the first byte, seconds to the last."""
    began = time.perf_counter()
    lines = first = 0.0
    with subprocess.Popen(["curl", "-sfN", url], stdout=subprocess.PIPE) as curl:
        assert curl.stdout is not None
        while data := curl.stdout.read1(1 << 20):  # type: ignore[attr-defined]  # a BufferedReader, typed as IO
            first = first or time.perf_counter() - began
            lines += data.count(b"\n")
    return int(lines), first, time.perf_counter() - began


def _bulk(members: Sequence[PinfoldMember]) -> float:
    """Pins a second of one body until the second member has them too."""
    numbers = range(_BULK_FROM, _BULK_FROM + 5 * PINS)
    began = time.perf_counter()
    post_in_bulk(members[0].api, numbers)
    _listed(members[1], numbers)
    return len(numbers) / (time.perf_counter() - began)


def _listed(member: RestMember, numbers: Sequence[int]) -> None:
    """Wait until that member has a sample of them, the last ones included."""
    for number in (*numbers[:: max(1, len(numbers) // 50)], *numbers[-5:]):
        wait_until(f"pin {number}", _there(member, number), 300, 0.02)


def _there(member: RestMember, number: int) -> Callable[[], bool]:
    def asked() -> bool:
        try:
            urllib.request.urlopen(f"{member.api}/allocations/{identity_cid(number)}", timeout=60).read()
        except urllib.error.HTTPError:
            return False
        return True

    return asked


def _settled(member: RestMember) -> None:
    url = f"{member.api}/pins?local=true&filter=pinning,pin_queued,pin_error"

    def idle() -> bool:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return not answer.read(1)

    wait_until(f"all pinned at {member.api}", idle, 300, 0.5)
