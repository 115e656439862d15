"""The real ipfs-cluster-service reads our export of the pinset, and what it exports is read in here."""

import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from nodes import NodeProcess
from support.command import daemon, pinfold, pins
from support.kubo import peer_command

from blockstore.cid import CID, RAW

pytestmark = pytest.mark.interop

ELSEWHERE = "12D3KooWPv6NjkBzJyJAUmvLtTtNCsR3dJRE4tRjgjZq3VnqvJXP"  # a peer of another cluster
ZERO = "0001-01-01T00:00:00Z"


def cid(number: int) -> str:
    """Of a block that every node has: its bytes are in its name."""
    return str(CID.identity(RAW, b"%d" % number))


class ClusterState:
    """The state of an ipfs-cluster peer that does not run."""

    def __init__(self, folder: Path) -> None:
        self._environment = {**os.environ, "IPFS_CLUSTER_PATH": str(folder)}
        self._run("init", "--consensus", "crdt", "--randomports")

    def imported(self, text: str) -> None:
        self._run("state", "import", "--force", text=text)

    def exported(self) -> str:
        return self._run("state", "export")

    def _run(self, *arguments: str, text: str = "") -> str:
        command = [peer_command("ipfs-cluster-service"), *arguments]
        done = self._done(command, text)
        # ipfs-cluster 1.1.6 now and then closes its storage under its own feet: what it did counts not.
        while "panic: pebble: closed" in done.stderr:
            done = self._done(command, text)
        assert not done.returncode, done.stderr
        return done.stdout

    def _done(self, command: list[str], text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=self._environment, input=text, capture_output=True, text=True, timeout=60
        )


@pytest.fixture
def theirs(tmp_path: Path) -> ClusterState:
    return ClusterState(tmp_path / "cluster")


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[NodeProcess]:
    with daemon(tmp_path / "node", "--offline") as node:
        yield node


def by_cid(text: str) -> dict[str, dict[str, object]]:
    return {pin["cid"]: pin for pin in map(json.loads, text.splitlines())}


def as_kept(pin: dict[str, object]) -> dict[str, object]:
    """A pin as ipfs-cluster's storage keeps it: no fractions of a second, and no wishes for peers."""
    times = {field: f"{str(pin[field])[:19]}Z" for field in ("expire_at", "timestamp")}
    return {**pin, **times, "user_allocations": None}


def lines(pins: Iterable[dict[str, object]]) -> str:
    return "".join(json.dumps(pin) + "\n" for pin in pins)


def test_ipfs_cluster_takes_what_we_export(theirs: ClusterState, ours: NodeProcess) -> None:
    wishes: list[dict[str, object]] = [
        {"cid": cid(1)},
        {"cid": cid(2), "name": "über <x> & \u2028", "metadata": {"b": "2", "a": "1"}},
        {"cid": cid(3), "mode": "direct", "expire_at": "2090-01-02T03:04:05.678Z"},
        {
            "cid": cid(4),
            "origins": [f"/ip4/1.2.3.4/tcp/4001/p2p/{ELSEWHERE}"],
            "user_allocations": [ELSEWHERE],
        },
        {"cid": cid(5), "pin_update": cid(2)},
    ]
    said = pinfold("pin", "add", "--from-file", "-", path=ours.folder, stdin=lines(wishes).encode())
    assert said.out == "5 pinned\n", said
    text = pinfold("state", "export", path=ours.folder).out
    theirs.imported(text)
    kept = by_cid(theirs.exported())
    assert kept == {name: as_kept(pin) for name, pin in by_cid(text).items()}
    assert all(list(pin) == list(by_cid(text)[name]) for name, pin in kept.items())
    said = pinfold("state", "import", "-", "--dry-run", path=ours.folder, stdin=theirs.exported().encode())
    assert said.out == "2 changed, 3 unchanged\n", said


def test_what_ipfs_cluster_exports_moves_in(theirs: ClusterState, ours: NodeProcess, tmp_path: Path) -> None:
    plain: dict[str, object] = {
        "type": "pin", "max_depth": -1, "replication_factor_min": -1, "replication_factor_max": -1,
        "timestamp": "2021-05-06T07:08:09Z",
    }  # fmt: skip
    theirs.imported(
        lines(
            [
                {**plain, "cid": cid(1), "name": "plain"},
                {
                    **plain, "cid": cid(2), "name": "full", "max_depth": 0, "replication_factor_min": 1,
                    "replication_factor_max": 2, "allocations": [ELSEWHERE], "metadata": {"k": "v"},
                    "expire_at": "2090-01-02T03:04:05Z", "pin_update": cid(77), "shard_size": 7,
                    "origins": [f"/ip4/1.2.3.4/tcp/4001/p2p/{ELSEWHERE}"],
                },
                {**plain, "cid": cid(3), "type": "meta-pin", "reference": cid(4)},
                {**plain, "cid": cid(4), "type": "clusterdag-pin", "max_depth": 0, "reference": cid(3)},
                {**plain, "cid": cid(5), "type": "shard-pin", "max_depth": 1},
                {**plain, "cid": cid(6), "expire_at": "2022-01-01T00:00:00Z"},
            ]
        )
    )  # fmt: skip
    export, failed = theirs.exported(), tmp_path / "failed"
    said = pinfold("state", "import", "-", "--failed", str(failed), path=ours.folder, stdin=export.encode())
    said.complains("shards are not kept here", "in the past", "4 lines failed")
    assert said.out == "2 pinned, 4 failed\n"
    assert pins(ours) == {cid(1), cid(2)}
    assert by_cid(failed.read_text()).keys() == {cid(3), cid(4), cid(5), cid(6)}
    found = by_cid(pinfold("state", "export", path=ours.folder).out)
    for number in (1, 2):
        theirs_kept = by_cid(export)[cid(number)]
        here = str(json.loads(ours.run("id", "--json"))["id"])
        placed = {"allocations": [here]} if number == 2 else {}
        assert found[cid(number)] == {**theirs_kept, **placed}
