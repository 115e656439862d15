"""Kubo and Helia that have our gateway and nothing else: what they read is what was put there."""

from __future__ import annotations

import json
import random
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from nodes import NodeProcess
from support.helia import Helia
from support.kubo import Kubo

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

NAMES = {f"many/{number}": str(number).encode() for number in range(40)}
FILES = {
    **NAMES,
    "big": random.Random(1).randbytes(3 << 20),
    "empty": b"",
    "deep/er/100% naïve?#.txt": b"odd name",
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    ours = NodeProcess(str(Path(sys.executable).with_name("pinfold")), tmp_path_factory.mktemp("node") / "p")
    ours.run("init")
    ours.start("--offline")
    yield ours
    ours.stop()


@pytest.fixture(scope="module", params=["unixfs-v0-2015", "unixfs-v1-2025"])
def root(node: NodeProcess, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> str:
    """Of all files; the directory `many` is sharded."""
    folder = tmp_path_factory.mktemp("files")
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return node.run("add", "-r", "-Q", f"--profile={request.param}", "--max-directory-links=10", str(folder))


def gateway(node: NodeProcess) -> str:
    """Its multiaddress."""
    return f"/ip4/127.0.0.1/tcp/{urlsplit(node.addresses()['gateway']).port}/http"


def test_helia_reads_a_tree_block_by_block(node: NodeProcess, root: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Helia.running(gateway(node)) as helia:
        for name in ("big", "empty", "deep/er/100% naïve?#.txt", "many/7"):
            helia.ask(do="cat", cid=root, below=name, path=str(out))
            assert out.read_bytes() == FILES[name], name
        listed = helia.ask(do="ls", cid=root, below="many")["names"]
        assert sorted(f"many/{name}" for name in listed) == sorted(NAMES)


@contextmanager
def routing(provider: dict[str, object]) -> Iterator[str]:
    """The URL of a delegated router that knows one provider of everything (spec: HTTP routing)."""

    class Router(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"Providers": [provider]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Router) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_kubo_fetches_a_tree_over_http(node: NodeProcess, root: str, tmp_path: Path) -> None:
    provider = {
        "Schema": "peer",
        "ID": node.api("/id")["id"],
        "Addrs": [gateway(node)],
        "Protocols": ["transport-ipfs-gateway-http"],
    }
    with routing(provider) as router:
        kubo = Kubo(tmp_path / "kubo", routing="delegated")
        for key, value in (
            ("Routing.DelegatedRouters", [router]),
            ("Provide.Enabled", False),
            ("HTTPRetrieval.Enabled", True),
        ):
            kubo.run("config", "--json", key, json.dumps(value))
        with kubo.running():
            kubo.run("get", root, "-o", str(tmp_path / "out"), timeout=120)
    found = {str(path.relative_to(tmp_path / "out")): path for path in (tmp_path / "out").rglob("*")}
    assert {name: found[name].read_bytes() for name in FILES} == FILES
