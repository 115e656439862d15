"""A node that cannot start says why, in one line, and leaves the folder as it was."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
from pathlib import Path

import pytest
from support.command import beginning, daemon, ended, pinfold

from blockstore.block import Block

ANY_PORTS = [
    word for face in ("gateway", "rpc", "api", "swarm", "cluster") for word in (f"--{face}-port", "0")
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pinfold("init", path=tmp_path / "node")
    return tmp_path / "node"


@pytest.mark.parametrize("face", ["gateway", "swarm", "cluster"])
def test_a_port_in_use_is_named_with_the_setting_to_change(folder: Path, face: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = pinfold("daemon", *ANY_PORTS, f"--{face}-port", port, path=folder)
    said.complains(port, "in use", f"{face}.port", "0 = any free one")
    assert said.out == ""
    assert not (folder / "addresses.json").exists()


@pytest.mark.parametrize(
    "name", ["blocks.db", "pins.db", "cluster.db", "identity.key", "cluster.json", "config.toml"]
)
def test_a_damaged_file_is_named_and_left_for_whoever_looks_at_it(folder: Path, name: str) -> None:
    damaged = bytes(range(255, 0, -1)) * 100
    (folder / name).write_bytes(damaged)
    said = pinfold("daemon", "--offline", *ANY_PORTS, path=folder)
    said.complains(str(folder / name))
    assert "restore it from a backup" in said.err or name == "config.toml"
    assert (folder / name).read_bytes() == damaged


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a node that holds a few pins."""
    path = tmp_path_factory.mktemp("used") / "node"
    with daemon(path, "--offline") as node:
        for number in range(3):
            pinfold("add", "-Q", path=path, stdin=bytes(3000) + bytes([number]))
        node.stop()
    return path


@pytest.mark.parametrize(
    ("name", "how"), [("pins.db", "middle"), ("pins.db", "schema"), ("cluster.db", "cut")]
)
def test_a_file_damaged_in_its_middle_is_named_on_a_line(
    used: Path, tmp_path: Path, name: str, how: str
) -> None:
    folder = Path(shutil.copytree(used, tmp_path / "node"))
    data = (folder / name).read_bytes()
    half = len(data) // 2
    spoilt = {
        "middle": data[:half] + bytes(range(256)) * 16 + data[half + 4096 :],
        "cut": data[: half // 512 * 512 + 100],
        "schema": data.replace(b"CREATE TABLE", b"CREATE TABEL"),
    }
    (folder / name).write_bytes(spoilt[how])
    said = pinfold("daemon", "--offline", *ANY_PORTS, path=folder)
    said.complains(str(folder / name), "restore it from a backup", "remove it")
    assert len(said.err.splitlines()) == 1


def test_damage_that_is_met_while_the_node_runs_is_a_line_of_the_log(used: Path, tmp_path: Path) -> None:
    """In a file too large to be looked through at the start."""
    folder = Path(shutil.copytree(used, tmp_path / "node"))
    with sqlite3.connect(folder / "pins.db") as connection:
        roots = ((bytes(Block.of(number.to_bytes(4)).cid),) for number in range(200_000))
        connection.executemany("INSERT INTO roots VALUES(?, 1, 1, 1, 1)", roots)
    connection.close()
    data = bytearray((folder / "pins.db").read_bytes())
    assert len(data) > 8 * 1024 * 1024
    for page in range(4, len(data) // 4096, 7):
        data[page * 4096 : page * 4096 + 100] = bytes(100)
    (folder / "pins.db").write_bytes(data)
    process = beginning("daemon", "--offline", *ANY_PORTS, path=folder)
    assert process.stderr is not None
    told = process.stderr.readline().decode()
    assert str(folder / "pins.db") in told
    assert "restore it from a backup, or remove it" in told
    assert pinfold("id", path=folder).code == 0, "it lives on"
    said = ended(process, interrupt=True)
    assert (said.code, "Traceback" in said.err, "bug" in said.err) == (0, False, False)


def test_a_damaged_address_book_is_only_forgotten(folder: Path) -> None:
    for name in ("peers.json", "peers.cluster.json"):
        (folder / name).write_bytes(b"\xff\x00 no JSON")
    process = beginning("daemon", *ANY_PORTS, path=folder)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"peer id")
    assert ended(process, interrupt=True).code == 0


def test_there_is_no_daemon_without_a_data_folder(tmp_path: Path) -> None:
    pinfold("daemon", path=tmp_path / "x").complains(f"{tmp_path}/x is not a data folder", "pinfold init")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_set_up_once(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    pinfold("init", path=folder).complains(f"{folder} is set up already", "pinfold --path DIR init")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    pinfold("init", path=tmp_path / "file" / "node").complains(f"{tmp_path}/file", "Not a directory")


@pytest.mark.parametrize(
    "token", ["", "hello", "pinfold1", "pinfold1AAAA", "pinfold9AAAA", "pinfold1\N{SNOWMAN}"]
)
def test_a_wrong_join_token_makes_no_folder(tmp_path: Path, token: str) -> None:
    said = pinfold("init", "--join", token, path=tmp_path / "node")
    said.complains("join token")
    assert list(tmp_path.iterdir()) == []


def test_a_join_token_that_lost_its_end_says_to_copy_it_again(tmp_path: Path, valid_token: str) -> None:
    pinfold("init", "--join", valid_token[:-7], path=tmp_path / "node").complains("copy it again, whole")
    assert pinfold("init", "--join", valid_token, path=tmp_path / "node").code == 0


@pytest.fixture
def valid_token() -> str:
    from cluster.common.genesis import found_cluster
    from cluster.interfaces import Role
    from cluster.members.invite import make_invite
    from node.datadir.identity import Identity

    us = Identity.generate()
    genesis = found_cluster("home", us.peer_id, 1.0)
    at = f"/ip4/192.0.2.7/tcp/9096/p2p/{us.peer_id}"
    return str(make_invite(genesis, us, bytes(32), [at], Role.TRUSTED, 2.0))


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("PINFOLD_GATEWAY_PORT", "eighty", 'setting "gateway.port" takes a whole number'),
        ("PINFOLD_GATEWAY_PORT", "70000", 'setting "gateway.port" takes a port'),
        ("PINFOLD_GATEWAY_PROT", "80", "PINFOLD_GATEWAY_PROT names no setting"),
        ("PINFOLD_GATEWAY_HOST", "no.such.invalid", "cannot listen on no.such.invalid"),
        ("PINFOLD_CLUSTER_HOST", "no.such.invalid", '"no.such.invalid" is no ip4 address'),
        ("PINFOLD_CLUSTER_REPLICATION_MIN", "2", "cluster.replication_min (2)"),
        ("PINFOLD_CLUSTER_ANNOUNCE", "192.0.2.7:9096", "addresses such as /ip4/192.0.2.7/tcp/9096"),
    ],
)
def test_a_wrong_setting_is_named(folder: Path, variable: str, value: str, says: str) -> None:
    said = pinfold("daemon", *ANY_PORTS, path=folder, stdin=b"", **{variable: value})
    said.complains(says)


def test_a_daemon_that_was_killed_leaves_no_lock(folder: Path) -> None:
    for last in (False, True):
        process = beginning("daemon", "--offline", *ANY_PORTS, path=folder)
        assert process.stdout is not None
        process.stdout.readline()
        if last:
            assert ended(process, interrupt=True).code == 0
            assert not (folder / "addresses.json").exists()
        else:
            process.kill()
            assert ended(process).code == -9
            url = json.loads((folder / "addresses.json").read_text())["api"]
            pinfold("id", path=folder).complains(f"no daemon at {url}", code=3)
