"""Several real processes: joining, losing one, and what goes wrong with tokens, secrets and clocks."""

from __future__ import annotations

import base64
import json
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
from nodes import Node
from support.command import daemon, log, pinfold, pins, put_by_one_day, until


def pinned_by(node: Node, cid: str, members: int) -> bool:
    return node.statuses(cid) == ["pinned"] * members


def join(folder: Path, token: str) -> None:
    assert pinfold("init", "--name", folder.name, "--join", token, path=folder).code == 0


def content(node: Node, path: str) -> bytes:
    with urllib.request.urlopen(node.gateway(path), timeout=60) as answer:
        data = answer.read()
    assert isinstance(data, bytes)
    return data


@pytest.mark.timeout(180)
def test_three_machines_lose_one_and_it_catches_up(tmp_path):
    photos = tmp_path / "photos"
    (photos / "2024").mkdir(parents=True)
    for number in range(20):
        (photos / "2024" / f"{number}.jpg").write_bytes(bytes([number]) * 5000)
    (photos / "film.bin").write_bytes(bytes(range(256)) * 12_000)
    late = tmp_path / "late.txt"
    late.write_text("added while a was away\n")
    with ExitStack() as stack:
        a = stack.enter_context(daemon(tmp_path / "a"))
        for name in "bc":
            join(tmp_path / name, a.run("cluster", "invite"))
        b, c = (stack.enter_context(daemon(tmp_path / name)) for name in "bc")
        until("b and c are in", lambda: a.run("peers").count("online") == 3)
        cid = a.run("add", "-r", "-Q", str(photos))
        until("three copies", lambda: pinned_by(a, cid, 3))
        a.kill()
        for node in (b, c):
            assert content(node, f"/ipfs/{cid}/film.bin") == (photos / "film.bin").read_bytes()
            assert content(node, f"/ipfs/{cid}/2024/7.jpg") == bytes([7]) * 5000
        second = b.run("add", "-Q", str(late))
        a.start()
        until("a has caught up", lambda: pinned_by(a, second, 3) and pinned_by(a, cid, 3))
        assert content(a, f"/ipfs/{second}") == late.read_bytes()
        assert [node.stop() for node in (a, b, c)] == [0, 0, 0]


@pytest.mark.timeout(180)
def test_a_used_token_a_wrong_secret_and_a_clock_a_day_off_are_told_and_lose_nothing(tmp_path):
    (tmp_path / "file").write_text("from a day ahead")
    with daemon(tmp_path / "a") as a:
        token = a.run("cluster", "invite")
        join(tmp_path / "b", token)
        cid = in_a_cluster_with_a_clock_a_day_off(a, tmp_path)
        not_let_in_twice(tmp_path / "c", token)
        not_heard_with_another_secret(tmp_path / "b", cid)
        assert pins(a) == {cid}
        assert a.run("cat", cid) == "from a day ahead"


def in_a_cluster_with_a_clock_a_day_off(a: Node, tmp_path: Path) -> str:
    with daemon(tmp_path / "b", command=put_by_one_day(tmp_path)) as b:
        until("b is in", lambda: b.run("peers").count("online") == 2)
        cid = b.run("add", "-Q", str(tmp_path / "file"))
        until("both hold it", lambda: pinned_by(a, cid, 2))
        until("a has noticed the clock", lambda: "is 24.0 hours ahead of ours: set both by NTP" in log(a))
        assert b.stop() == 0
    return cid


def not_let_in_twice(folder: Path, token: str) -> None:
    join(folder, token)
    with daemon(folder) as c:
        until("c is told", lambda: "the join token was used already" in log(c))
        said = pinfold("add", "-", path=folder, stdin=b"not wanted")
        said.complains("this node is not a member of the cluster", "used already", "pinfold cluster invite")
        assert pins(c) == set()
        assert c.stop() == 0


def not_heard_with_another_secret(folder: Path, cid: str) -> None:
    file = folder / "cluster.json"
    right = file.read_text()
    file.write_text(json.dumps({**json.loads(right), "secret": base64.b64encode(bytes(32)).decode()}))
    with daemon(folder) as b:
        said = pinfold("peers", path=folder)
        assert said.out.count("not answering") == 1, said
        assert b.run("cat", cid) == "from a day ahead"
        assert b.stop() == 0
    file.write_text(right)
    with daemon(folder) as b:
        until("they meet again", lambda: b.run("peers").count("online") == 2)
        assert b.stop() == 0
