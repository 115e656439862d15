"""Real reverse proxies, set up word for word as docs/operations.md says, and curl before them over HTTP/2."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.gateway import Gateway, open_gateway

from blockstore.cid import CID
from node.config.sections import GatewayConfig

pytestmark = pytest.mark.interop
PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
HOST = "gw.example.org"
LARGE = random.Random(1).randbytes(1 << 20)
FILES = {"d/a b.txt": b"a file\n", "d/sub/é.bin": LARGE}
MODULES = ("mpm_event", "authz_core", "ssl", "http2", "headers", "proxy", "proxy_http")
VISITOR = "127.0.0.2"  # not a trusted proxy

# What the page leaves to a machine's own settings, and how the program is started with a file.
NGINX = (
    "daemon off; pid {folder}/pid; error_log {folder}/errors; events {{}} http {{ access_log off; {page} }}"
)
CADDY = "{{\n admin off\n auto_https off\n default_bind 127.0.0.1\n}}\n{page}"
HAPROXY = "defaults\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n{page}"
APACHE = (
    "ServerRoot {folder}\nServerName x\nPidFile {folder}/pid\nErrorLog {folder}/errors\n"
    "Mutex file:{folder} default\n"
    + "".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in MODULES)
    + "Listen 127.0.0.1:{port}\n{page}"
)
PROXIES = {
    "nginx": (NGINX, "upstream pinfold", ["-c"]),
    "caddy": (CADDY, f"{HOST}, *.ipfs", ["run", "--adapter", "caddyfile", "--config"]),
    "haproxy": (HAPROXY, "frontend gateway", ["-db", "-f"]),
    "apache2": (APACHE, "<VirtualHost", ["-DFOREGROUND", "-f"]),
}


def of_page(first: str) -> str:
    """The indented block that begins so."""
    lines = PAGE[PAGE.index(f"    {first}") :].splitlines()
    end = next(number for number, line in enumerate(lines) if line and not line.startswith("    "))
    return "\n".join(lines[:end])


def configuration(program: str, folder: Path, port: int, gateway: str) -> str:
    around, first, _ = PROXIES[program]
    page = of_page(first).replace("127.0.0.1:8080", urlsplit(gateway).netloc)
    page = page.replace("/etc/ssl/gw.example.org", f"{folder}/gw")
    page = page.replace("$host;", "$host:$server_port;")  # as the page says of other ports
    for here in ("listen ", "bind "):
        page = page.replace(f"{here}:443", f"{here}127.0.0.1:{port}").replace(
            f"{here}443", f"{here}127.0.0.1:{port}"
        )
    page = page.replace("*:443", f"127.0.0.1:{port}")
    if program == "caddy":
        page = page.replace("gw.example.org,", f"gw.example.org:{port},").replace(
            "gw.example.org {", f"gw.example.org:{port} {{"
        )
    return around.format(folder=folder, page=page, port=port)


async def run(*command: str) -> bytes:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0, command
    return out


async def make_certificate(folder: Path) -> None:
    names = ",".join(f"DNS:{prefix}{HOST}" for prefix in ("", "*.ipfs.", "*.ipns."))
    await run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-days", "2", "-subj", f"/CN={HOST}",
        "-addext", f"subjectAltName={names}", "-keyout", f"{folder}/gw.key", "-out", f"{folder}/gw.pem",
    )  # fmt: skip
    both = (folder / "gw.pem").read_text() + (folder / "gw.key").read_text()
    (folder / "gw.both.pem").write_text(both)


class Visitor:
    """curl, for which every host is the proxy."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port

    async def get(self, host: str, path: str, *options: str) -> tuple[dict[str, str], bytes]:
        """Headers by lower-case name with the status as `status`, and the body."""
        head, body = self._folder / "head", self._folder / "body"
        body.unlink(missing_ok=True)
        version = await run(
            "curl", "-s", "--http2", "--path-as-is", "--interface", VISITOR, "--connect-to",
            f"::127.0.0.1:{self._port}", "--cacert", f"{self._folder}/gw.pem", "-w", "%{http_version}",
            "-D", str(head), "-o", str(body), *options, f"https://{host}:{self._port}{path}",
        )  # fmt: skip
        assert version == b"2"
        first, *lines = head.read_text().strip().splitlines()
        fields = dict(line.split(": ", 1) for line in lines)
        return {**fields, "status": first.split()[1]}, body.read_bytes() if body.exists() else b""


@asynccontextmanager
async def proxied(program: str, folder: Path, gateway: Gateway) -> AsyncIterator[Visitor]:
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    assert found, f"{program} is not installed"
    await make_certificate(folder)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    file = folder / "proxy.conf"
    file.write_text(configuration(program, folder, port, gateway.node.faces.gateway.url))
    process = await asyncio.create_subprocess_exec(
        found, *PROXIES[program][2], str(file), env={**os.environ, "HOME": str(folder)}, cwd=folder
    )
    try:
        while True:
            assert process.returncode is None, f"{program} has ended"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
        yield Visitor(folder, port)
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture(params=PROXIES)
async def visitor(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Visitor, CID]]:
    settings = GatewayConfig(
        subdomain_hosts=(HOST,),
        trusted_proxies=("127.0.0.1/32",),
        access_log=str(tmp_path / "access.log"),
    )
    async with open_gateway(tmp_path / "node", settings) as gateway:
        root = await gateway.add(FILES)
        async with proxied(request.param, tmp_path, gateway) as opened:
            yield opened, root
    lines = (tmp_path / "access.log").read_text().splitlines()
    assert {line.split()[0] for line in lines if "curl" in line} == {VISITOR}


async def test_the_page_brings_a_gateway_with_origins_of_their_own_online(
    visitor: tuple[Visitor, CID],
) -> None:
    curl, root = visitor
    moved, _ = await curl.get(HOST, f"/ipfs/{root}/a%20b.txt?x=%2F&y", "-H", "X-Forwarded-For: 192.0.2.9")
    place = urlsplit(moved["location"])
    assert (moved["status"], place.scheme, place.hostname) == ("301", "https", f"{root}.ipfs.{HOST}")
    assert (place.path, place.query) == ("/a%20b.txt", "x=%2F&y")
    found, body = await curl.get(f"{root}.ipfs.{HOST}", place.path)
    assert (found["status"], body) == ("200", b"a file\n")
    for path in ("//a%20b.txt", "/sub/../a%20b.txt", "/sub%2F%C3%A9.bin"):
        assert (await curl.get(f"{root}.ipfs.{HOST}", path))[0]["status"] == "200", path
    part, body = await curl.get(f"{root}.ipfs.{HOST}", "/sub/%C3%A9.bin", "-r", "1000-1003")
    assert (part["status"], body) == ("206", LARGE[1000:1004])
    archive, body = await curl.get(f"{root}.ipfs.{HOST}", "/?format=car")
    assert (archive["status"], len(body) > len(LARGE)) == ("200", True)
    known, _ = await curl.get(f"{root}.ipfs.{HOST}", "/a%20b.txt", "-H", f"If-None-Match: {found['etag']}")
    assert (known["status"], known["etag"]) == ("304", found["etag"])
    page, body = await curl.get(
        f"{root}.ipfs.{HOST}", "/", "-H", "Accept: text/html", "-H", "Accept-Encoding: gzip"
    )
    assert (page["status"], b"Index of" in body) == ("200", True)


async def test_a_visitor_says_nothing_for_the_proxy(visitor: tuple[Visitor, CID]) -> None:
    curl, root = visitor
    says = (
        "-H", f"X-Forwarded-Host: {root}.ipfs.{HOST}", "-H", "X-Forwarded-Proto: http",
        "-H", "X-Forwarded-For: 192.0.2.9",
    )  # fmt: skip
    moved, _ = await curl.get(HOST, f"/ipfs/{root}/sub/", *says)
    assert moved["location"].startswith(f"https://{root}.ipfs.{HOST}:")
    assert (await curl.get(HOST, "/a%20b.txt", *says))[0]["status"] == "404"
    dropped = "Connection: X-Forwarded-Host, X-Forwarded-Proto, X-Forwarded-For"
    moved, _ = await curl.get(HOST, f"/ipfs/{root}/sub/", *says, "-H", dropped)
    assert moved["location"].startswith(f"https://{root}.ipfs.{HOST}:")
