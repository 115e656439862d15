"""Ctrl-C, SIGTERM and kill -9 in the middle of things: what was acknowledged stays, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import NodeProcess
from support.command import beginning, bytes_stored, daemon, ended, pins, seconds_to_end, until

MIB = 1 << 20
SOON = 30.0  # seconds; a busy machine's idea of at once


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with daemon(tmp_path_factory.mktemp("interruptions") / "node", "--offline") as node:
        yield node


@pytest.fixture
def node(running: NodeProcess) -> NodeProcess:
    """With no pins."""
    for cid in pins(running):
        running.run("pin", "rm", cid)
    return running


def half_an_add(node: NodeProcess) -> subprocess.Popen[bytes]:
    """An add of which the node has stored some blocks, and whose end it waits for."""
    before = bytes_stored(node)
    adding = beginning("add", "-", path=node.folder)
    assert adding.stdin is not None
    adding.stdin.write(os.urandom(24 * MIB))
    adding.stdin.flush()
    until("the node has blocks of it", lambda: bytes_stored(node) > before)
    return adding


def test_ctrl_c_in_the_middle_of_an_add_leaves_no_pin_and_a_living_node(
    node: NodeProcess, tmp_path: Path
) -> None:
    adding = half_an_add(node)
    said = ended(adding, interrupt=True)
    said.complains("interrupted", code=130)
    assert said.out == ""
    assert pins(node) == set()
    (tmp_path / "next").write_text("the next add is served")
    cid = node.run("add", "-Q", str(tmp_path / "next"))
    assert pins(node) == {cid}


def test_ctrl_c_while_only_hashing_ends_at_once(tmp_path: Path) -> None:
    hashing = beginning("add", "-n", "-", path=tmp_path)
    assert hashing.stdin is not None
    hashing.stdin.write(bytes(4 * MIB))  # more than a pipe holds: it is being read
    hashing.stdin.flush()
    ended(hashing, interrupt=True).complains("interrupted", code=130)


def test_ctrl_c_in_the_middle_of_a_get_leaves_no_file(node: NodeProcess, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(64 * MIB))
    cid = node.run("add", "-Q", str(tmp_path / "big"))
    (tmp_path / "out").mkdir()
    for arguments in (("get", cid), ("car", "export", cid)):
        getting = beginning(*arguments, "-o", str(tmp_path / "out" / "copy"), path=node.folder)
        until("something is being written", lambda: list((tmp_path / "out").iterdir()))
        getting.send_signal(signal.SIGSTOP)
        assert not (tmp_path / "out" / "copy").exists()
        getting.send_signal(signal.SIGINT)
        getting.send_signal(signal.SIGCONT)
        ended(getting).complains("interrupted", code=130)
        assert list((tmp_path / "out").iterdir()) == []


def test_a_daemon_that_is_told_to_stop_does_so_cleanly_though_an_add_goes_on(node: NodeProcess) -> None:
    adding = half_an_add(node)
    assert node.process is not None
    code, seconds = seconds_to_end(node.process, signal.SIGTERM)
    assert code == 0
    assert seconds < SOON
    assert not (node.folder / "addresses.json").exists()
    assert adding.stdin is not None
    adding.stdin.close()
    ended(adding).complains("the node closed the connection")
    node.start("--offline")
    assert pins(node) == set()


def test_after_kill_9_in_the_middle_of_an_add_what_was_acknowledged_is_there(
    node: NodeProcess, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("acknowledged")
    cid = node.run("add", "-Q", str(tmp_path / "kept"))
    adding = half_an_add(node)
    node.kill()
    assert adding.stdin is not None
    adding.stdin.close()
    ended(adding).complains("the node closed the connection")
    node.start("--offline")
    assert pins(node) == {cid}
    until("it is pinned", lambda: node.statuses(cid) == ["pinned"])
    assert node.run("cat", cid) == "acknowledged"


def test_a_reader_that_goes_away_is_no_error_to_talk_about(node: NodeProcess, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(8 * MIB))
    cid = node.run("add", "-Q", str(tmp_path / "big"))
    printing = beginning("cat", cid, path=node.folder)
    assert printing.stdout is not None
    printing.stdout.read(10)
    printing.stdout.close()
    assert printing.wait(SOON) == 1
    assert printing.stderr is not None
    assert printing.stderr.read() == b""
    for stream in (printing.stdin, printing.stderr):
        assert stream is not None
        stream.close()
