"""Drives the built file in an empty environment: two nodes join, replicate a folder, and stop cleanly."""

from __future__ import annotations

import sys
import sysconfig
import tempfile
import time
import urllib.request
from pathlib import Path

from nodes import NodeProcess, wait_until

from node.version import VERSION

SECONDS_TO_READY = 10.0  # a shared machine; the figure itself is in docs/benchmarks.md


def main(binary: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        environment = {"HOME": scratch, "TMPDIR": scratch}
        first = NodeProcess(str(Path(binary).resolve()), Path(scratch) / "first", environment)
        second = NodeProcess(first.command, Path(scratch) / "second", environment)
        assert first.run("version") == f"pinfold {VERSION}"
        first.run("init")
        ready = first.start()
        assert ready < SECONDS_TO_READY, f"ready after {ready:.1f} s"
        second.run("init", "--join", first.run("cluster", "invite"))
        second.start()
        print(f"{VERSION} is ready in {ready:.2f} s, idle RSS {first.rss():.0f} MB")
        _replicate(first, second)
        codes = first.stop(), second.stop()
        assert codes == (0, 0), f"exit codes {codes}"
        print("the binary adds, serves, joins, replicates and stops: 1 passed, 0 failed")


def _replicate(first: NodeProcess, second: NodeProcess) -> None:
    folder = Path(sysconfig.get_path("stdlib")) / "json"
    cid = first.run("add", "-r", "-Q", str(folder)).splitlines()[-1]
    began = time.monotonic()
    wait_until("both hold it", lambda: first.statuses(cid) == ["pinned", "pinned"], 60)
    print(f"replicated in {time.monotonic() - began:.1f} s")
    for node in (first, second):
        with urllib.request.urlopen(node.gateway(f"/ipfs/{cid}/decoder.py")) as response:
            assert response.read() == (folder / "decoder.py").read_bytes()
    print(second.run("status", cid))


if __name__ == "__main__":
    main(sys.argv[1])
