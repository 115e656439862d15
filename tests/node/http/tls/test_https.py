"""HTTPS of the listeners: real handshakes, certificates that change under open connections, refusals."""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector, web
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.certificates import certified
from support.node import eventually, running_node

from node.access.rights import TokenScope
from node.config.config import check
from node.config.errors import BadConfig
from node.config.sections import ApiConfig, Config, GatewayConfig, PinningConfig, RpcConfig
from node.http.admin.callers import OpenToOthers
from node.http.listener import ListenerSettings, listen
from node.http.tls.errors import BadTlsFiles
from node.http.tls.server_certificate import ServerCertificate, TlsFiles


def moved(source: TlsFiles, target: TlsFiles) -> None:
    source.certificate.replace(target.certificate)
    source.key.replace(target.key)


def trusting(files: TlsFiles) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(files.certificate))


async def common_name(port: int) -> str:
    """Of the certificate that a new connection is shown."""
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=anybody)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    (name,) = x509.load_der_x509_certificate(shown).subject
    return str(name.value)


def app() -> web.Application:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text=request.scheme)

    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    made = web.Application()
    made.router.add_get("/", hello)
    made.router.add_post("/", echo)
    return made


async def test_every_listener_speaks_https_where_it_has_a_certificate(tmp_path: Path) -> None:
    folder = tmp_path / "node"
    files = certified(tmp_path)
    two = {"ssl_cert_file": str(files.certificate), "ssl_key_file": str(files.key)}
    config = Config(GatewayConfig(**two), RpcConfig(**two), ApiConfig(**two), pinning=PinningConfig(**two))  # type: ignore[arg-type]  # texts by name
    async with running_node(folder, config) as node:
        _, token = await node.parts.credentials.tokens.create("t", TokenScope.READ)
        headers = {"Authorization": f"Bearer {token}"}
        async with ClientSession(connector=TCPConnector(ssl=trusting(files))) as client:
            for face, method, path in (
                (node.faces.gateway, "GET", "/"),
                (node.faces.rpc, "POST", "/api/v0/version"),
                (node.faces.api, "GET", "/id"),
                (node.faces.pinning, "GET", "/pins"),
            ):
                assert face.url.startswith("https://127.0.0.1:")
                url = face.url.replace("127.0.0.1", "localhost") + path
                async with client.request(method, url, headers=headers) as answer:
                    assert answer.status == 200


async def test_a_new_certificate_counts_from_the_next_connection_on(tmp_path: Path) -> None:
    files = certified(tmp_path, "old")
    certificate = ServerCertificate(files)
    async with listen(app(), ListenerSettings("api", "127.0.0.1", 0, tls=files)) as listener:
        assert await common_name(listener.port) == "old"
    before = certificate.context
    certificate.look()
    assert certificate.context is before
    moved(certified(tmp_path, "new"), files)
    certificate.look()
    assert certificate.context is not before


async def test_connections_outlive_a_change_of_the_files(tmp_path: Path) -> None:
    files = certified(tmp_path, "old")
    async with (
        listen(app(), ListenerSettings("api", "127.0.0.1", 0, tls=files)) as listener,
        ClientSession(connector=TCPConnector(ssl=trusting(files), limit=1)) as client,
    ):
        url = f"https://localhost:{listener.port}/"
        async with client.get(url) as answer:
            assert await answer.text() == "https"
        moved(certified(tmp_path, "new"), files)

        async def is_new() -> bool:
            return await common_name(listener.port) == "new"

        await eventually(is_new)
        async with client.get(url) as answer:  # on the connection of before, which trusts the old one alone
            assert answer.status == 200


async def test_what_does_not_fit_changes_nothing_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = certified(tmp_path)
    certificate = ServerCertificate(files)
    before = certificate.context
    for spoil, said in (
        (lambda: certified(tmp_path, "other").key.replace(files.key), "is not the key of the certificate"),
        (lambda: files.key.write_text("x"), "does not hold a private key"),
        (lambda: files.certificate.write_text("x"), "does not hold a certificate"),
        (lambda: files.certificate.unlink(), "cannot be read"),
    ):
        caplog.clear()
        spoil()
        with caplog.at_level(logging.ERROR):
            certificate.look()
        assert said in caplog.text
        assert "of before is used on" in caplog.text
    assert certificate.context is before
    moved(certified(tmp_path, "good"), files)
    certificate.look()
    assert certificate.context is not before


def encrypted(files: TlsFiles) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"x"),
        )
    )


async def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    files = certified(tmp_path)
    for bad, name, why in (
        (replace(files, certificate=tmp_path / "none.pem"), "none.pem", "cannot be read"),
        (replace(files, key=tmp_path / "none.key"), "none.key", "cannot be read"),
        (replace(files, certificate=files.key), "node.key", "does not hold a certificate"),
        (replace(files, key=files.certificate), "node.pem", "does not hold a private key"),
        (replace(files, key=certified(tmp_path, "x").key), "x.key", "is not the key"),
    ):
        with pytest.raises(BadTlsFiles, match=rf"{name}.*{why}"):
            async with listen(app(), ListenerSettings("api", "127.0.0.1", 0, tls=bad)):
                pass
    encrypted(files)
    with pytest.raises(BadTlsFiles, match=r"node\.key is encrypted"):
        ServerCertificate(files)


def test_a_certificate_that_ends_soon_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        ServerCertificate(certified(tmp_path, days=3))
    assert "renew it" in caplog.text


async def test_large_bodies_and_many_connections(tmp_path: Path) -> None:
    files = certified(tmp_path)
    async with (
        listen(app(), ListenerSettings("api", "127.0.0.1", 0, tls=files)) as listener,
        ClientSession(connector=TCPConnector(ssl=trusting(files), limit=0)) as client,
    ):
        url = f"https://localhost:{listener.port}/"

        async def one(number: int) -> bool:
            async with client.post(url, data=(body := bytes([number]) * 300_000)) as answer:
                return await answer.read() == body

        assert all(await asyncio.gather(*map(one, range(40))))


async def test_what_is_no_handshake_ends_and_leaves_room_for_others(tmp_path: Path) -> None:
    files = certified(tmp_path)
    async with listen(app(), ListenerSettings("api", "127.0.0.1", 0, tls=files)) as listener:
        silent = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(300)]
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" not in await reader.read()
        writer.close()
        assert await common_name(listener.port) == "node"
        assert await silent[0][0].read() == b""  # who began first and said nothing has gone
        for _, one in silent:
            one.close()


async def test_old_versions_of_tls_are_refused(tmp_path: Path) -> None:
    files = certified(tmp_path)
    old = trusting(files)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    async with listen(app(), ListenerSettings("api", "127.0.0.1", 0, tls=files)) as listener:
        with pytest.raises(OSError):
            await asyncio.open_connection("localhost", listener.port, ssl=old)


@pytest.mark.parametrize("section", ["api", "rpc", "pinning"])
async def test_others_are_let_in_by_tls_or_where_something_else_encrypts(
    tmp_path: Path, section: str
) -> None:
    own = replace(getattr(Config(), section), host="0.0.0.0")
    own = own if section == "pinning" else replace(own, auth="always")
    with pytest.raises(OpenToOthers, match=rf"{section}\.ssl_cert_file.*{section}\.tls elsewhere"):
        async with running_node(tmp_path / "node", replace(Config(), **{section: own})):
            pass
    files = certified(tmp_path)
    two = {"ssl_cert_file": str(files.certificate), "ssl_key_file": str(files.key)}
    for change in (two, {"tls": "elsewhere"}):
        async with running_node(tmp_path / "node", replace(Config(), **{section: replace(own, **change)})):
            pass


def test_one_file_without_the_other_is_refused_before_the_node_starts() -> None:
    for section in ("gateway", "rpc", "api", "pinning"):
        for name in ("ssl_cert_file", "ssl_key_file"):
            own = replace(getattr(Config(), section), **{name: "x.pem"})
            with pytest.raises(BadConfig, match="go together"):
                check(replace(Config(), **{section: own}))
