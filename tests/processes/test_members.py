"""Several real processes: joining, losing one, and what goes wrong with tokens, secrets and clocks."""

from __future__ import annotations

import base64
import json
import urllib.request
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from nodes import NodeProcess
from support.command import daemon, log, pinfold, pins, put_by_one_day, until


def pinned_by(node: NodeProcess, cid: str, members: int) -> bool:
    return node.statuses(cid) == ["pinned"] * members


def join(folder: Path, token: str) -> None:
    assert pinfold("init", "--name", folder.name, "--join", token, path=folder).code == 0


def content(node: NodeProcess, path: str) -> bytes:
    with urllib.request.urlopen(node.gateway(path), timeout=60) as answer:
        data = answer.read()
    assert isinstance(data, bytes)
    return data


@pytest.mark.timeout(180)
def test_three_machines_lose_one_and_it_catches_up(tmp_path: Path) -> None:
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
def test_a_used_token_a_wrong_secret_and_a_clock_a_day_off_are_told_and_lose_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from a day ahead")
    with daemon(tmp_path / "a") as a:
        token = a.run("cluster", "invite")
        join(tmp_path / "b", token)
        cid = in_a_cluster_with_a_clock_a_day_off(a, tmp_path)
        not_let_in_twice(tmp_path / "c", token)
        not_heard_with_another_secret(tmp_path / "b", cid)
        assert pins(a) == {cid}
        assert a.run("cat", cid) == "from a day ahead"


def in_a_cluster_with_a_clock_a_day_off(a: NodeProcess, tmp_path: Path) -> str:
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


def both_online(node: NodeProcess) -> bool:
    return node.run("peers").count("online") == 2


@pytest.mark.timeout(180)
def test_a_removed_member_hears_of_it_where_members_are_now_and_is_let_in_by_a_new_token(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "b"
    with daemon(tmp_path / "a") as a:
        token = a.run("cluster", "invite")
        typed = f"\ufeff{token[:40]}\r\n{token[40:]}\r\n".encode()
        assert pinfold("init", "--name", "b", "--join", "-", path=folder, stdin=typed).code == 0
        with daemon(folder) as b:
            until("b is in", lambda: both_online(b))
            until("the token is gone", lambda: token[8:] not in (folder / "cluster.json").read_text())
            assert json.loads((folder / "cluster.json").read_text())["invite"] == ""
            assert (a.stop(), b.stop()) == (0, 0)
            a.start()
            assert "removed" in a.run("cluster", "remove", "--yes", "b")
            assert "b" not in [word for line in a.run("peers").splitlines() for word in line.split()]
            b.start()
            b.run("cluster", "connect", json.loads(a.run("id", "--json"))["cluster"][0])
            until("b is told", lambda: "was removed from the cluster by a on" in b.run("peers"))
            assert "was removed from the cluster by a on" in log(b)
            (tmp_path / "token").write_text(a.run("cluster", "invite"))
            b.run("init", "--join-file", str(tmp_path / "token"))
            assert b.stop() == 0
            b.start()
            until("b is in again", lambda: both_online(a) and both_online(b))
            assert [node.stop() for node in (a, b)] == [0, 0]


def test_members_and_addresses_that_are_none_are_told_in_one_line(tmp_path: Path) -> None:
    peer = "12D3KooWMnkerRorKq2W2puQfMh2GJH121KAca4Mb8digLq9LeiB"
    with daemon(tmp_path / "a", "--offline") as node:
        ask = partial(pinfold, path=node.folder)
        for address in ("hello", "/dns4/☃/tcp/1/p2p/" + peer, f"/dns4/{'a' * 70}/tcp/1/p2p/{peer}", "\n", ""):
            said = ask("cluster", "connect", address)
            said.complains("Error: ")
            assert len(said.err.splitlines()) == 1, said.err
        ask("cluster", "connect", f"/ip4/127.0.0.1/tcp/1/p2p/{peer}").complains("offline")
        ask("cluster", "remove", "nobody", "--yes").complains("no member", "pinfold peers")
        ask("cluster", "remove", "nobody").complains("nothing was removed", "--yes")
        ask("cluster", "remove", "a", "--yes").complains("is this node itself")
        ask("cluster", "invite").complains("joins no network")
        for way in (["--join", "-"], ["--join-file", str(tmp_path / "none")], ["--join", ""]):
            assert pinfold("init", *way, path=tmp_path / "c", stdin=b"pinfold1 no").code == 1
        assert not (tmp_path / "c").exists()
        assert node.stop() == 0
    for name, value in (("ANNOUNCE", f"/dns4/{'a' * 70}/tcp/9096"), ("PEER_NAME", "a\x1b[2Jb")):
        said = pinfold("daemon", path=tmp_path / "a", stdin=b"", **{f"PINFOLD_CLUSTER_{name}": value})
        said.complains(f"cluster.{name.lower()}")


def test_an_invitation_is_short_and_shown_as_a_code_that_fits_a_terminal(tmp_path: Path) -> None:
    with daemon(tmp_path / "a") as node:
        said = pinfold("cluster", "invite", "--qr", path=node.folder)
        *code, token = said.out.splitlines()
        assert (said.code, len(token) <= 350, token.startswith("pinfold1")) == (0, True, True)
        assert 30 < len(code) < 50
        assert max(map(len, code)) <= 80
        assert node.stop() == 0
