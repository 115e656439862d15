"""Content that only a real Kubo has, fetched from its gateway alone: no Bitswap between the two."""

from __future__ import annotations

import http.client
import random
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import NodeProcess, wait_until
from support.kubo import Kubo

from blockstore.block import Block

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

MIB = 1 << 20


@pytest.fixture(scope="module")
def kubo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubo]:
    theirs = Kubo(tmp_path_factory.mktemp("kubo") / "k")
    theirs.run("config", "--json", "Gateway.NoFetch", "true")
    with theirs.running():
        yield theirs


@pytest.fixture
def node(tmp_path: Path, kubo: Kubo) -> Iterator[NodeProcess]:
    """Knows nobody but that gateway."""
    ours = behind(tmp_path, kubo)
    yield ours
    ours.stop()


def behind(folder: Path, kubo: Kubo, **settings: str) -> NodeProcess:
    ours = NodeProcess(str(Path(sys.executable).with_name("pinfold")), folder / "p")
    ours.run("init")
    ours.run("config", "set", "swarm.enabled", "false")
    ours.run("config", "set", "retrieval.gateways", kubo.gateway)
    for key, value in settings.items():
        ours.run("config", "set", key.replace("__", "."), value)
    ours.start()
    return ours


def get(node: NodeProcess, path: str) -> bytes:
    with urllib.request.urlopen(node.gateway(path), timeout=60) as response:
        return bytes(response.read())


def get_if_whole(node: NodeProcess, path: str) -> bytes:
    """Empty where the answer breaks off."""
    try:
        return get(node, path)
    except http.client.IncompleteRead:
        return b""


def refused(node: NodeProcess, path: str) -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(node, path)
    return caught.value.code, caught.value.read().decode()


def random_file(folder: Path, size: int, seed: int) -> Path:
    file = folder / f"random {seed}"
    file.write_bytes(random.Random(seed).randbytes(size))
    return file


@pytest.mark.parametrize("version", ["0", "1"])
def test_a_file(node: NodeProcess, kubo: Kubo, tmp_path: Path, version: str) -> None:
    file = random_file(tmp_path, 9 * MIB, int(version))
    cid = kubo.run("add", "-Q", f"--cid-version={version}", str(file))
    assert get(node, f"/ipfs/{cid}") == file.read_bytes()
    kept = node.api("/v1/usage")["bytes"]
    assert isinstance(kept, int)
    assert kept >= 9 * MIB


def test_a_folder(node: NodeProcess, kubo: Kubo, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for name in ("a.txt", "deep/er/b.txt", "deep/c c.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"this is {name}")
    cid = kubo.run("add", "-Q", "-r", "--cid-version=1", str(folder))
    node.run("get", cid, "-o", str(tmp_path / "out"), timeout=120)
    for name in ("a.txt", "deep/er/b.txt", "deep/c c.txt"):
        assert (tmp_path / "out" / name).read_text() == f"this is {name}"
    assert b"c%20c.txt" in get(node, f"/ipfs/{cid}/deep/")


def test_a_car_of_a_sharded_folder_is_the_same_as_theirs(
    node: NodeProcess, kubo: Kubo, tmp_path: Path
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for n in range(1500):
        (folder / f"file number {n}").write_text(str(n))
    kubo.run("config", "--json", "Import.UnixFSHAMTDirectorySizeThreshold", '"1KiB"')
    cid = kubo.run("add", "-Q", "-r", "--cid-version=1", str(folder))
    ours = get(node, f"/ipfs/{cid}?format=car&dag-scope=all")
    with urllib.request.urlopen(f"{kubo.gateway}/ipfs/{cid}?format=car&dag-scope=all", timeout=60) as theirs:
        assert ours == theirs.read()


def test_a_pin_comes_from_the_gateway_too(node: NodeProcess, kubo: Kubo, tmp_path: Path) -> None:
    cid = kubo.run("add", "-Q", "--cid-version=1", str(random_file(tmp_path, 2 * MIB, 7)))
    node.run("pin", "add", cid, "--wait", timeout=60)
    assert node.statuses(cid) == ["pinned"]


def test_a_block_that_they_do_not_have_fails_fast_and_says_who_was_asked(node: NodeProcess) -> None:
    missing = Block.of(b"nobody has this").cid
    began = time.monotonic()
    status, text = refused(node, f"/ipfs/{missing}")
    assert time.monotonic() - began < 20  # of the 30 s that a request may wait
    assert status == 404
    assert "trustless gateways: 1 gateway asked, none has it" in text


def test_one_that_looks_for_it_in_vain_is_waited_for_as_long_as_the_setting_says(
    tmp_path: Path,
) -> None:
    kubo = Kubo(tmp_path / "k")
    with kubo.running():
        ours = behind(tmp_path, kubo, gateway__first_byte_timeout="2")
        status, text = refused(ours, f"/ipfs/{Block.of(b'nobody has this').cid}")
        ours.stop()
    assert status == 504
    assert "trustless gateways: 1 gateway asked, none has answered yet" in text


def test_one_that_stops_in_the_middle_breaks_the_answer_off_and_is_asked_again_later(tmp_path: Path) -> None:
    kubo = Kubo(tmp_path / "k")
    file = random_file(tmp_path, 96 * MIB, 3)
    cid = kubo.run("add", "-Q", "--cid-version=1", str(file))
    with kubo.running() as daemon:
        ours = behind(tmp_path, kubo, gateway__negative_ttl="0")
        with urllib.request.urlopen(ours.gateway(f"/ipfs/{cid}"), timeout=60) as response:
            got = response.read(8 * MIB)
            daemon.kill()
            daemon.wait()
            with pytest.raises(http.client.IncompleteRead) as caught:
                response.read()
        assert file.read_bytes().startswith(got + caught.value.partial)
        status, text = refused(ours, f"/ipfs/{Block.of(b'not here').cid}")
        assert status == 504
        assert "trustless gateways: 1 gateway asked" in text
    with kubo.running():
        whole = wait_until("the file again", lambda: get_if_whole(ours, f"/ipfs/{cid}"), 60)
        assert whole == file.read_bytes()
        ours.stop()
