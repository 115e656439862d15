"""However a daemon is told to end, it ends in order; and it lives on when nobody reads what it says."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.command import PINFOLD, beginning, daemon, ended, log, pinfold, seconds_to_end, until

FACES = ("gateway", "rpc", "api", "swarm", "cluster")
START = ["daemon", "--init", "--offline", *(word for face in FACES for word in (f"--{face}-port", "0"))]
SECONDS = 60


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGINT])
def test_every_signal_that_ends_a_process_is_an_orderly_end(tmp_path: Path, number: signal.Signals) -> None:
    with daemon(tmp_path / "node", "--offline") as node:
        assert node.process is not None
        node.process.send_signal(number)
        assert node.process.wait(SECONDS) == 0
        assert not (node.folder / "addresses.json").exists()
        assert "stopping" in log(node)
        assert "Traceback" not in log(node)


def test_a_signal_while_it_starts_ends_it_too(tmp_path: Path) -> None:
    process = beginning(*START, path=tmp_path / "node")
    until("it has a lock", lambda: (tmp_path / "node" / "lock").exists())
    process.send_signal(signal.SIGTERM)
    said = ended(process)
    assert said.code in (0, 143)
    assert "Traceback" not in said.err
    assert not (tmp_path / "node" / "addresses.json").exists()


def test_a_closed_terminal_is_an_orderly_end(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    folder = tmp_path / "node"
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", PINFOLD, "--path", str(folder), *START],
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    until("it is ready", lambda: (folder / "addresses.json").exists())
    pid = json.loads((folder / "addresses.json").read_text())["pid"]
    os.close(ours)  # the terminal is gone: what is written to it fails from now on
    assert process.wait(SECONDS) == 0
    assert not Path(f"/proc/{pid}").exists()
    assert not (folder / "addresses.json").exists()


def test_a_daemon_whose_readers_have_gone_serves_on(tmp_path: Path) -> None:
    process = beginning(*START, path=tmp_path / "node")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    until("it is ready", lambda: pinfold("id", path=tmp_path / "node").code == 0)
    for _ in range(3):
        pinfold("cluster", "invite", path=tmp_path / "node")
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS) == 0
    assert process.stdin is not None
    process.stdin.close()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT])
def test_a_command_that_is_ended_leaves_nothing_half_done(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "big").write_bytes(os.urandom(64 << 20))
    with daemon(tmp_path / "node", "--offline") as node:
        cid = node.run("add", "-Q", str(tmp_path / "big"))
        (tmp_path / "out").mkdir()
        getting = beginning("get", cid, "-o", str(tmp_path / "out" / "copy"), path=node.folder)
        until("something is being written", lambda: list((tmp_path / "out").iterdir()))
        getting.send_signal(number)
        said = ended(getting)
        assert (said.code, said.err) == (128 + number, "")
        assert list((tmp_path / "out").iterdir()) == []


def test_a_hang_up_that_is_to_be_ignored_is(tmp_path: Path) -> None:
    with daemon(tmp_path / "node", "--offline", command=_nohup(tmp_path)) as node:
        assert node.process is not None
        node.process.send_signal(signal.SIGHUP)
        assert node.run("id")
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(SECONDS) == 0


def _nohup(folder: Path) -> str:
    command = folder / "nohup-pinfold"
    command.write_text(f'#!/bin/sh\ntrap "" HUP\nexec "{PINFOLD}" "$@"\n')
    command.chmod(0o755)
    return str(command)


def test_a_daemon_tells_its_life_as_json_where_that_is_asked_for(tmp_path: Path) -> None:
    with daemon(tmp_path / "node", "--offline", "--log-format", "json", "--log-level", "debug") as node:
        node.run("id")
        node.stop()
        lines = [line for line in log(node).splitlines() if line.startswith("{")]
        assert all(json.loads(line)["level"] for line in lines)


@pytest.mark.parametrize(
    ("variable", "value"), [("PINFOLD_LOG_LEVEL", "loud"), ("PINFOLD_LOG_FORMAT", "xml")]
)
def test_a_log_that_does_not_exist_is_refused(tmp_path: Path, variable: str, value: str) -> None:
    pinfold("init", path=tmp_path / "node")
    pinfold("daemon", path=tmp_path / "node", stdin=b"", **{variable: value}).complains("log.", value)


def test_clients_that_stand_still_on_every_listener_hold_up_the_end_together(tmp_path: Path) -> None:
    with daemon(tmp_path / "node", "--offline") as node, ExitStack() as stack:
        places = {"gateway": "/routing/v1/ipns/k2k", "rpc": "/api/v0/block/put", "api": "/add"}
        for face, path in places.items():
            at = urlsplit(node.addresses()[face])
            half = stack.enter_context(socket.create_connection((at.hostname, at.port)))
            head = f"POST {path} HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Length: 50000\r\n"
            half.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n".encode())
        assert node.process is not None
        code, seconds = seconds_to_end(node.process, signal.SIGTERM)
    assert code == 0
    assert seconds < 5, "two seconds for each of them, at once"
