"""Keys, names, peers and followed names by the command, as users type it."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import NodeProcess
from support.command import Said, daemon, pinfold, until

EMPTY = "/ipfs/bafkqaaa"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with daemon(tmp_path_factory.mktemp("names") / "one", PINFOLD_NAMES_FOLLOW="0.2") as running:
        yield running


def run(node: NodeProcess, *arguments: str, stdin: bytes | None = None) -> Said:
    return pinfold(*arguments, path=node.folder, stdin=stdin)


def out(node: NodeProcess, *arguments: str, stdin: bytes | None = None) -> str:
    said = run(node, *arguments, stdin=stdin)
    assert said.code == 0, said
    return said.out.strip()


def test_a_key_is_made_published_under_renamed_and_removed(node: NodeProcess, tmp_path: Path) -> None:
    name = out(node, "key", "gen", "site")
    assert name.startswith("k51")
    assert f"{name}  site" in out(node, "key", "list").splitlines()
    assert out(node, "name", "publish", "--key", "site", EMPTY) == f"published {name}: {EMPTY}"
    assert out(node, "name", "resolve", f"/ipns/{name}") == EMPTY
    told = json.loads(out(node, "name", "publish", "-k", name, "--ttl", "30s", "-t", "1h", EMPTY, "--json"))
    assert told == {"name": name, "path": EMPTY}
    assert out(node, "key", "rename", "site", "home") == f"{name} is called home now, and was site"
    (file,) = (node.folder / "keystore").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    exported = tmp_path / "home.pem"
    out(node, "key", "export", "home", "-o", str(exported), "--format", "pem-pkcs8-cleartext")
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600
    assert out(node, "key", "rm", "home") == f"removed home, the key of {name}"
    run(node, "name", "publish", "--key", "home", EMPTY).complains("no key by the given name")
    assert out(node, "key", "import", "again", str(exported)) == name
    assert out(node, "key", "import", "piped", "-", stdin=exported.read_bytes()) == name
    out(node, "key", "rm", "again", "piped")


def test_a_name_goes_on_where_it_was_after_a_restart(node: NodeProcess) -> None:
    name = out(node, "key", "gen", "lasting")
    out(node, "name", "publish", "--key", "lasting", "--sequence", "41", EMPTY)
    assert node.stop() == 0
    node.start()
    out(node, "name", "publish", "--key", "lasting", "/ipfs/bafkqaddwgevxmmraojswg33smq")
    run(node, "name", "publish", "--key", "lasting", "--sequence", "42", EMPTY).complains("not above 42")
    assert out(node, "name", "resolve", name) == "/ipfs/bafkqaddwgevxmmraojswg33smq"


def test_what_is_typed_wrongly_is_told(node: NodeProcess, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(b"no key")
    run(node, "key", "gen", "self").complains("self")
    run(node, "key", "gen", "x", "--type", "dsa").complains("dsa", code=2)
    run(node, "key", "gen", "x", "--type", "rsa", "--size", "100").complains("2048 to 8192")
    run(node, "key", "import", "x", str(bad)).complains("no private key")
    run(node, "key", "import", "x", str(tmp_path / "absent")).complains("absent")
    run(node, "key", "export", "absent").complains("no key named absent")
    run(node, "key", "rm", "self").complains("own")
    run(node, "name", "publish", "nonsense").complains("nonsense")
    run(node, "name", "publish", EMPTY, "--lifetime", "soon").complains("lifetime")
    run(node, "pin", "add", "--versions", "3", "bafkqaaa").complains("--follow", code=2)
    run(node, "pin", "add", "--follow", "--wait", "/ipns/x.org").complains("--follow", code=2)
    run(node, "pin", "add", "--follow", "/ipfs/bafkqaaa").complains("/ipns/")
    run(node, "swarm", "connect", "nonsense").complains("nonsense")
    run(node, "swarm", "peering", "add").complains("at least one", code=2)
    run(node, "swarm", "ping", node.addresses()["peer_id"]).complains("self")


def test_a_followed_name_is_pinned_anew(node: NodeProcess) -> None:
    name = out(node, "key", "gen", "followed")
    first, second = (out(node, "add", "-Q", stdin=text) for text in (b"first", b"second"))
    for cid in (first, second):
        out(node, "pin", "rm", cid)
    out(node, "name", "publish", "--key", "followed", f"/ipfs/{first}")
    assert first in out(node, "pin", "add", "--follow", f"/ipns/{name}", "--name", "news")
    out(node, "name", "publish", "--key", "followed", f"/ipfs/{second}")
    until("only the second version", lambda: [*map(_cid, out(node, "pin", "ls").splitlines())] == [second])
    assert out(node, "pin", "follows").splitlines()[0] == f"/ipns/{name}  keeps 1"
    assert "lets go of 1 pins" in out(node, "pin", "rm", "--follow", f"/ipns/{name}")
    assert out(node, "pin", "ls") == ""


def _cid(line: str) -> str:
    return line.split()[0]


def test_peers_are_connected_pinged_and_let_go(node: NodeProcess, tmp_path: Path) -> None:
    with daemon(tmp_path / "other") as other:
        (address, *_) = json.loads((other.folder / "addresses.json").read_text())["swarm"]
        peer = other.addresses()["peer_id"]
        assert out(node, "swarm", "connect", address) == f"connect {peer} success"
        assert out(node, "swarm", "peers") == address
        assert "Average latency" in out(node, "swarm", "ping", peer, "--count", "1")
        assert peer in out(node, "swarm", "addrs")
        assert peer in out(node, "swarm", "peering")
        assert out(node, "swarm", "peering", "rm", peer) == f"{peer} is kept no more"
        assert out(node, "swarm", "peering", "add", address) == f"{peer} stays connected"
        assert out(node, "swarm", "disconnect", peer) == f"disconnect {peer} success"
        run(node, "swarm", "disconnect", peer).complains("not connected")
        assert out(node, "swarm", "peering") == ""
