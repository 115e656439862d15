"""Delegated Routing V1 with other programs: a Kubo and Helia's client ask us, and we ask a Kubo."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import NodeProcess
from support.kubo import Kubo, peers_folder

from node.names.name import IpnsName

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]


def pinfold(folder: Path, **settings: str) -> NodeProcess:
    node = NodeProcess(str(Path(sys.executable).with_name("pinfold")), folder)
    node.run("init")
    for key, value in settings.items():
        node.run("config", "set", key.replace("_", ".", 1), value)
    node.start()
    return node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    running = pinfold(tmp_path / "pinfold")
    yield running
    running.stop()


def added(node: NodeProcess, folder: Path, text: str) -> str:
    file = folder / "added"
    file.write_text(text)
    return str(node.run("add", "-Q", str(file))).strip()


def asking(folder: Path, router: str) -> Kubo:
    """A Kubo whose only router that is."""
    kubo = Kubo(folder, routing="delegated")
    kubo.run("config", "--json", "Provide.Enabled", "false")
    kubo.run(
        "config",
        "--json",
        "Routing.DelegatedRouters",
        json.dumps([f"{router}/routing/v1/{part}" for part in ("providers", "peers", "ipns")]),
    )
    kubo.run("config", "--json", "Ipns.DelegatedPublishers", json.dumps([f"{router}/routing/v1/ipns"]))
    return kubo


def test_a_kubo_whose_only_router_we_are_finds_fetches_resolves_and_publishes(
    node: NodeProcess, tmp_path: Path
) -> None:
    cid = added(node, tmp_path, "held by us")
    name = str(node.run("key", "gen", "site")).strip()
    node.run("name", "publish", "--key", "site", f"/ipfs/{cid}")
    kubo = asking(tmp_path / "kubo", node.addresses()["gateway"])
    with kubo.running():
        assert kubo.run("swarm", "peers") == ""
        assert kubo.run("name", "resolve", f"/ipns/{name}") == f"/ipfs/{cid}"
        assert kubo.run("cat", f"/ipns/{name}") == "held by us"
        theirs = kubo.run("key", "gen", "theirs")
        kubo.run("name", "publish", "--key=theirs", f"/ipfs/{cid}")
        assert str(node.run("name", "resolve", f"/ipns/{theirs}")).strip() == f"/ipfs/{cid}"


def test_helias_client_understands_us(node: NodeProcess, tmp_path: Path) -> None:
    cid = added(node, tmp_path, "held by us")
    name = str(node.run("key", "gen", "site")).strip()
    node.run("name", "publish", "--key", "site", f"/ipfs/{cid}")
    peer, folder = node.addresses()["peer_id"], peers_folder() / "js"
    key = IpnsName.parse(peer).cid.in_base("b")
    command = [str(folder / "node_modules/.bin/node"), str(folder / "routing.mjs")]
    command += [node.addresses()["gateway"], cid, key, IpnsName.parse(name).cid.in_base("b")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    (provider,) = told["providers"]
    assert provider["id"] == key  # as Helia writes it
    assert "/tcp/" in provider["addresses"][0]
    assert provider["protocols"] == ["transport-bitswap"]
    assert (told["filtered"], told["none"]) == ([], [])
    assert told["peers"][0]["id"] == key
    assert told["missing"] == "NotFoundError"
    assert base64.b64decode(told["record"])


def test_a_kubo_is_our_router(tmp_path: Path) -> None:
    kubo = Kubo(tmp_path / "kubo", routing="dht")
    kubo.run("config", "--json", "Gateway.ExposeRoutingAPI", "true")
    with kubo.running():
        key = kubo.run("key", "gen", "theirs")
        kubo.run("name", "publish", "--allow-offline", "--resolve=false", "--key=theirs", "/ipfs/bafkqaaa")
        node = pinfold(tmp_path / "pinfold", routing_routers=kubo.gateway)
        try:
            assert str(node.run("name", "resolve", f"/ipns/{key}")).strip() == "/ipfs/bafkqaaa"
        finally:
            node.stop()


def test_keys_go_both_ways_in_both_forms(node: NodeProcess, tmp_path: Path) -> None:
    kubo = Kubo(tmp_path / "kubo")
    for kind in ("ed25519", "rsa"):
        theirs = kubo.run("key", "gen", f"--type={kind}", kind)
        for form in ("libp2p-protobuf-cleartext", "pem-pkcs8-cleartext"):
            label, file = f"{kind}-{form}", tmp_path / f"{kind}-{form}"
            kubo.run("key", "export", f"--format={form}", "-o", str(file), kind)
            assert str(node.run("key", "import", label, str(file), "--format", form)).strip() == theirs
            back = tmp_path / f"back-{label}"
            node.run("key", "export", label, "-o", str(back), "--format", form)
            assert kubo.run("key", "import", f"--format={form}", f"again-{label}", str(back)) == theirs
