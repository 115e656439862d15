"""Large files are handed to the daemon as they are open; their CIDs are those of bytes that were sent."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import NodeProcess
from support.command import beginning, daemon, ended, here, until

MIB = 1 << 20


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with daemon(tmp_path_factory.mktemp("adding") / "p", "--offline") as running:
        yield running


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More large files than may wait for their parts, small ones between, and the same bytes twice."""
    folder = tmp_path_factory.mktemp("mixed") / "tree"
    (folder / "sub").mkdir(parents=True)
    chance = random.Random(5)
    for number in range(40):
        size = chance.choice([10, MIB - 1, MIB, MIB + 1, 3 * MIB])
        (folder / ("sub" if number % 2 else "") / f"{number:02} ü").write_bytes(chance.randbytes(size))
    shutil.copy(folder / "00 ü", folder / "sub" / "copy")
    return folder


def test_a_tree_of_large_and_small_files_has_the_cid_of_its_content(node: NodeProcess, mixed: Path) -> None:
    assert node.run("add", "-rQ", str(mixed)) == node.run("add", "-rQn", str(mixed))
    assert node.run("add", "-rQ", "--cid-version=1", "--preserve-mode", str(mixed)) == node.run(
        "add", "-rQn", "--cid-version=1", "--preserve-mode", str(mixed)
    )


def test_a_daemon_whose_socket_is_gone_is_sent_the_bytes(node: NodeProcess, mixed: Path) -> None:
    (node.folder / "files.sock").rename(node.folder / "elsewhere.sock")
    try:
        assert node.run("add", "-rQ", str(mixed)) == node.run("add", "-rQn", str(mixed))
    finally:
        (node.folder / "elsewhere.sock").rename(node.folder / "files.sock")


def test_a_large_file_among_others_that_cannot_be_read_is_reported(node: NodeProcess, tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(os.urandom(2 * MIB))
    said = here("add", str(tmp_path / "good"), str(tmp_path / "none"), path=node.folder)
    assert said.code == 1
    assert "added" in said.out
    assert "none" in said.err


def test_who_interrupts_an_add_leaves_no_pin_and_no_open_file(node: NodeProcess, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(os.urandom(MIB) * 300)
    with (tmp_path / "large").open("ab") as file:
        file.truncate(20 << 30)  # a hole that takes a while
    before = node.run("pin", "ls", "--count")
    adding = beginning("add", "-Q", str(tmp_path / "large"), path=node.folder)
    until("the daemon reads it", lambda: _reads(node, tmp_path / "large"))
    adding.send_signal(signal.SIGINT)
    ended(adding)
    until("the daemon has let go of it", lambda: not _reads(node, tmp_path / "large"))
    assert node.run("pin", "ls", "--count") == before


def _reads(node: NodeProcess, file: Path) -> bool:
    """Whether the daemon has that file open."""
    daemon_id = json.loads((node.folder / "addresses.json").read_text())["pid"]
    links = Path(f"/proc/{daemon_id}/fd").iterdir()
    return any(os.path.realpath(link) == str(file) for link in links)
