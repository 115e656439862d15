"""Fetching between two nodes, and adding until three members hold it."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from nodes import wait_until
from support.ipfs_cluster import ClusterPeer

from benchmarks.sides import CHUNKS, MIB, Figure, Pinfold, Side, kubo, pinfold, random_file, seconds

BIG = 1024 * MIB


def fetch(folder: Path) -> Iterator[Figure]:
    """1 GiB in 1 MiB blocks over Bitswap on loopback: Pinfold to Pinfold, Kubo to Kubo."""
    with ExitStack() as stack:
        ours = [stack.enter_context(pinfold(folder / f"p{index}")) for index in range(2)]
        theirs = [stack.enter_context(kubo(folder / f"k{index}")) for index in range(2)]
        address = json.loads(ours[0].run("id", "--json"))["swarm"][0]
        _rpc(ours[1], "/api/v0/swarm/connect", address)
        theirs[1].run("swarm", "connect", theirs[0].kubo.address())
        file = folder / "big"
        yield Figure(
            "fetch 1 GiB between two nodes",
            _rate(ours[0], ours[1], file),
            _rate(theirs[0], theirs[1], file),
            "MB/s",
        )


def _rate(source: Side, sink: Side, file: Path) -> float:
    """MB/s at which the sink's gateway gives what was just added at the source."""
    cid = source.run("add", "-Q", *CHUNKS, str(random_file(file, BIG)))
    command = ["curl", "-sf", "-o", "/dev/null", f"{sink.gateway_url()}/ipfs/{cid}"]
    return BIG / 1e6 / seconds(lambda: subprocess.run(command, check=True))


def cluster(folder: Path) -> Iterator[Figure]:
    """1 GiB added at one member until three hold it."""
    file = random_file(folder / "big", BIG)
    with ExitStack() as stack:
        first = stack.enter_context(pinfold(folder / "p0"))
        for index in (1, 2):
            stack.enter_context(pinfold(folder / f"p{index}", first.run("cluster", "invite")))
        wait_until("three members", lambda: first.run("peers").count("online") == 3, 60)
        ours = seconds(lambda: _add_until_held(first, file))
    with ExitStack() as stack:
        peers: list[ClusterPeer] = []
        for index in range(3):
            daemon = stack.enter_context(kubo(folder / f"k{index}"))
            peer = ClusterPeer(folder / f"c{index}", daemon.kubo, peers[0] if peers else None)
            stack.enter_context(peer.running())
            peers.append(peer)
        wait_until("three peers", lambda: len(peers[0].peers()) == 3, 60)
        theirs = seconds(lambda: peers[0].add_until_pinned(file, 3))
    yield Figure("add 1 GiB until 3 members hold it", ours, theirs, "s", smaller_is_better=True)


def _add_until_held(side: Pinfold, file: Path) -> None:
    cid = side.run("add", "-Q", *CHUNKS, str(file))
    wait_until("replicated", lambda: side.node.statuses(cid) == ["pinned"] * 3, 300, 0.1)


def _rpc(side: Pinfold, path: str, argument: str) -> None:
    request = urllib.request.Request(f"{side.node.addresses()['rpc']}{path}?arg={argument}", method="POST")
    urllib.request.urlopen(request, timeout=30).read()
