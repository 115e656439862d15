"""Ten thousand connections to a real daemon, each silent behind its first request."""

from __future__ import annotations

import socket
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.command import daemon

from node.http.limits.connections import connection_limit

COUNT = 10_000


@pytest.mark.slow
def test_ten_thousand_idle_connections_keep_nobody_out(tmp_path: Path) -> None:
    assert connection_limit(0) > COUNT, "this process may not open so many files"
    (tmp_path / "file").write_text("still served")
    with daemon(tmp_path / "node", "--offline", PINFOLD_GATEWAY_MAX_CONNECTIONS=str(COUNT + 1)) as node:
        cid = node.run("add", "-Q", str(tmp_path / "file"))
        before = node.rss()
        url = urlsplit(node.addresses()["gateway"])
        with ExitStack() as stack:
            request = f"GET /ipfs/{cid} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            for _ in range(COUNT):
                one = stack.enter_context(socket.create_connection((url.hostname, url.port)))
                one.sendall(request)
                assert one.recv(65536).startswith(b"HTTP/1.1 200")
            with urllib.request.urlopen(f"{url.geturl()}/ipfs/{cid}", timeout=60) as answer:
                assert answer.read() == b"still served"
            assert node.rss() - before < 300, "some 30 kB a connection"
