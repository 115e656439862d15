"""What starting the networks may cost: the modules that are not needed stay out."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

UNUSED = (
    "aioquic",
    "httpx",
    "requests",
    "zeroconf",
    "grpc",
    "websocket",
    "aiortc",
    "miniupnpc",
    "trio_websocket",
)
PROGRAM = """
import json, sys
import node.p2p.network
def rss():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
print(json.dumps([sorted({name.partition(".")[0] for name in sys.modules}), rss()]))
"""


@pytest.fixture(scope="module")
def imported(request: pytest.FixtureRequest) -> tuple[set[str], int]:
    """Top-level modules and resident bytes after importing everything a daemon's networks need."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=request.config.rootpath,
        capture_output=True,
        text=True,
        check=True,
    )
    modules, rss = json.loads(done.stdout)
    return set(modules), rss


def test_libraries_that_are_not_used_are_not_imported(imported: tuple[set[str], int]) -> None:
    assert not imported[0] & set(UNUSED)
    assert {"libp2p", "trio"} <= imported[0]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_networks_import_in_little_memory(imported: tuple[set[str], int]) -> None:
    assert imported[1] < 75 * 2**20  # `import libp2p` as it is: 87 MiB


def test_py_libp2p_imported_before_us_is_left_as_it_is(request: pytest.FixtureRequest) -> None:
    program = (
        "import libp2p; before = libp2p.new_host; import node.p2p.network; assert libp2p.new_host is before"
    )
    subprocess.run([sys.executable, "-c", program], cwd=request.config.rootpath, check=True)
