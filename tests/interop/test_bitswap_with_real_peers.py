"""A small file, one of 50 MiB and a folder, both ways between a Pinfold node and real Kubo and Helia."""

from __future__ import annotations

import filecmp
import json
import random
import shutil
import sys
import sysconfig
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import NodeProcess
from support.helia import Helia
from support.kubo import Kubo

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

SIZES = {"small": 100, "50 MiB": 50 << 20}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    ours = NodeProcess(str(Path(sys.executable).with_name("pinfold")), tmp_path_factory.mktemp("node") / "p")
    ours.run("init")
    ours.start()
    yield ours
    ours.stop()


@pytest.fixture(scope="module")
def kubo(tmp_path_factory: pytest.TempPathFactory, node: NodeProcess) -> Iterator[Kubo]:
    theirs = Kubo(tmp_path_factory.mktemp("kubo") / "k")
    with theirs.running():
        theirs.run("swarm", "connect", address(node))
        yield theirs


@pytest.fixture(scope="module")
def helia(node: NodeProcess) -> Iterator[Helia]:
    with Helia.running() as theirs:
        theirs.ask(do="connect", addr=address(node))
        yield theirs


def address(node: NodeProcess) -> str:
    return str(json.loads(node.run("id", "--json"))["swarm"][0])


def content(folder: Path, what: str, mark: str) -> Path:
    """Content that nobody else made: the mark makes its blocks its own."""
    place = folder / mark
    if what == "folder":
        shutil.copytree(
            Path(sysconfig.get_path("stdlib")) / "json", place, ignore=shutil.ignore_patterns("__pycache__")
        )
        (place / "mark").write_text(mark)
    else:
        place.write_bytes((mark * SIZES[what]).encode()[: SIZES[what]] + mark.encode())
    return place


def same(one: Path, other: Path) -> bool:
    if one.is_file():
        return filecmp.cmp(one, other, shallow=False)
    names = sorted(path.relative_to(one) for path in one.rglob("*"))
    return names == sorted(path.relative_to(other) for path in other.rglob("*")) and all(
        filecmp.cmp(one / name, other / name, shallow=False) for name in names if (one / name).is_file()
    )


@pytest.mark.parametrize("what", [*SIZES, "folder"])
def test_kubo_fetches_from_us(node: NodeProcess, kubo: Kubo, tmp_path: Path, what: str) -> None:
    ours = content(tmp_path, what, f"kubo from us {what}")
    cid = node.run("add", "-Q", "-r", str(ours))
    kubo.run("get", "-o", str(tmp_path / "out"), f"/ipfs/{cid}", timeout=120)
    assert same(ours, tmp_path / "out")


@pytest.mark.parametrize("what", [*SIZES, "folder"])
@pytest.mark.parametrize("version", ["0", "1"])
def test_we_fetch_from_kubo(node: NodeProcess, kubo: Kubo, tmp_path: Path, what: str, version: str) -> None:
    theirs = content(tmp_path, what, f"we from kubo {what} {version}")
    cid = kubo.run("add", "-Q", "-r", f"--cid-version={version}", str(theirs))
    node.run("get", cid, "-o", str(tmp_path / "out"), timeout=120)
    assert same(theirs, tmp_path / "out")


def test_we_pin_what_kubo_sends_on_a_hundred_streams_at_once(
    node: NodeProcess, kubo: Kubo, tmp_path: Path
) -> None:
    """It opens a stream a message while others are busy, and they share what they may have in our memory."""
    theirs = tmp_path / "many blocks"
    theirs.write_bytes(random.Random(9).randbytes(160 << 20))
    cid = kubo.run("add", "-Q", "--cid-version=1", "--chunker=size-262144", str(theirs))
    node.run("pin", "add", cid, "--wait", timeout=60)
    assert node.statuses(cid) == ["pinned"]


@pytest.mark.parametrize("what", [*SIZES, "folder"])
def test_helia_fetches_from_us(node: NodeProcess, helia: Helia, tmp_path: Path, what: str) -> None:
    ours = content(tmp_path, what, f"helia from us {what}")
    cid = node.run("add", "-Q", "-r", str(ours))
    if what == "folder":
        assert sorted(helia.ask(do="ls", cid=cid)["names"]) == sorted(path.name for path in ours.iterdir())
        cid = node.run("add", "-Q", str(ours / "mark"))
        ours = ours / "mark"
    helia.ask(do="cat", cid=cid, path=str(tmp_path / "out"))
    assert same(ours, tmp_path / "out")


@pytest.mark.parametrize("what", [*SIZES, "folder"])
def test_we_fetch_from_helia(node: NodeProcess, helia: Helia, tmp_path: Path, what: str) -> None:
    theirs = content(tmp_path, what, f"we from helia {what}")
    cid = str(helia.ask(do="addAll" if what == "folder" else "add", path=str(theirs))["cid"])
    node.run("get", cid, "-o", str(tmp_path / "out"), timeout=120)
    assert same(theirs, tmp_path / "out")


def test_a_file_that_only_kubo_has_opens_in_our_gateway(
    node: NodeProcess, kubo: Kubo, tmp_path: Path
) -> None:
    theirs = content(tmp_path, "small", "through the gateway")
    cid = kubo.run("add", "-Q", str(theirs))
    url = f"{node.addresses()['gateway']}/ipfs/{urllib.parse.quote(cid)}"
    with urllib.request.urlopen(url, timeout=60) as response:
        assert response.read() == theirs.read_bytes()
