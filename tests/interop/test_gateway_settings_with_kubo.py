"""What operators set, at our gateway and at a real Kubo's: the same requests get the same statuses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession
from support.gateway import Gateway, file_of, narrow_connection, open_gateway
from support.ipns import Key
from support.kubo import Kubo
from support.sites import KEY, publish
from yarl import URL

from blockstore.block import Block
from blockstore.cid import CID
from node.config.sections import GatewayConfig

pytestmark = pytest.mark.interop
FILES = {"d/a/b.txt": b"below", "d/large.bin": b"l" * 30_000}
ABSENT = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"

Answers = dict[str, int]


async def kubos(
    tmp_path: Path, gateway: Gateway, root: CID, requests: list[str], **settings: object
) -> Answers:
    """The answers of a Kubo with that content and settings."""
    kubo = Kubo(tmp_path / "kubo")
    for name, value in settings.items():
        kubo.run("config", "--json", f"Gateway.{name}", json.dumps(value))
    archive = tmp_path / "content.car"
    archive.write_bytes((await gateway.get(f"/ipfs/{root}?format=car", Host="all.example.net")).body)
    record = tmp_path / "record"
    record.write_bytes((await gateway.node.parts.names.record(KEY.name)).record.raw)
    with kubo.running("--offline"):
        kubo.run("dag", "import", "--pin-roots=false", str(archive))
        kubo.run("routing", "put", "--allow-offline", f"/ipns/{KEY.name}", str(record))
        async with ClientSession(skip_auto_headers=["Accept"]) as client:
            return {line: await _asked(client, kubo.gateway, line) for line in requests}


async def _asked(client: ClientSession, base: str, line: str) -> int:
    """The status of `PATH`, or of `PATH HEADER: VALUE`."""
    path, _, header = line.partition(" ")
    name, _, value = header.partition(": ")
    headers = {name: value} if name else {}
    url = URL(base + path, encoded=True)
    async with client.get(url, headers=headers, allow_redirects=False) as answer:
        await answer.read()
        return answer.status


async def ours(gateway: Gateway, requests: list[str]) -> Answers:
    async with ClientSession(skip_auto_headers=["Accept"]) as client:
        return {line: await _asked(client, gateway.node.faces.gateway.url, line) for line in requests}


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[tuple[Gateway, CID]]:
    settings = GatewayConfig(fetch=False, trustless=True, hosts=("all.example.net deserialized",))
    async with open_gateway(tmp_path / "node", settings) as gateway:
        root = await gateway.add(FILES)
        await publish(gateway, root)
        yield gateway, root


async def test_a_trustless_gateway_gives_what_kubos_gives(
    tmp_path: Path, opened: tuple[Gateway, CID]
) -> None:
    gateway, root = opened
    requests = [
        f"/ipfs/{root}",
        f"/ipfs/{root}/",
        f"/ipfs/{root}/a/b.txt",
        f"/ipfs/{root} Accept: text/html",
        f"/ipfs/{root} Accept: application/vnd.ipld.raw",
        f"/ipfs/{root} Accept: application/vnd.ipld.car",
        f"/ipfs/{root}/ Accept: application/vnd.ipld.car",
        f"/ipfs/{root}?format=raw",
        f"/ipfs/{root}/?format=raw",
        f"/ipfs/{root}/a/b.txt?format=raw",
        f"/ipfs/{root}?format=car",
        f"/ipfs/{root}/a/b.txt?format=car",
        f"/ipfs/{root}/a?format=car&dag-scope=block",
        f"/ipfs/{root}?format=tar",
        f"/ipfs/{root}?format=dag-json",
        f"/ipfs/{root}?format=json",
        f"/ipfs/{root}?format=cbor",
        f"/ipfs/{root}?format=nonsense",
        f"/ipns/{KEY.name}",
        f"/ipns/{KEY.name}?format=ipns-record",
        f"/ipns/{KEY.name}?format=car",
        f"/ipns/{KEY.name}?format=raw",
        f"/ipns/{KEY.name}/a/b.txt?format=car",
        "/ipns/en.wikipedia-on-ipfs.org?format=car",
        "/ipns/en.wikipedia-on-ipfs.org",
        f"/ipfs/{ABSENT}?format=raw",
        "/ipfs/bafkqaaa?format=raw",
    ]
    theirs = await kubos(tmp_path, gateway, root, requests, DeserializedResponses=False, NoFetch=True)
    assert await ours(gateway, requests) == theirs
    assert set(theirs.values()) == {200, 404, 406}


async def test_ranges_of_large_files_are_refused_as_kubo_refuses_them(tmp_path: Path) -> None:
    settings = GatewayConfig(max_range_file=20_000, fetch=False)
    async with open_gateway(tmp_path / "node", settings) as gateway:
        root = await gateway.add(FILES)
        await publish(gateway, root)
        requests = [
            f"/ipfs/{root}/large.bin Range: bytes=0-9",
            f"/ipfs/{root}/large.bin",
            f"/ipfs/{root}/a/b.txt Range: bytes=0-2",
            f"/ipfs/{ABSENT}",
            f"/ipns/{Key(99).name}/x",
        ]
        theirs = await kubos(tmp_path, gateway, root, requests, MaxRangeRequestFileSize="20000", NoFetch=True)
        assert await ours(gateway, requests) == theirs
        assert list(theirs.values()) == [501, 200, 206, 404, 500]


async def test_a_full_gateway_says_what_kubos_says(tmp_path: Path) -> None:
    piece = Block.of(b"p" * 1024 * 1024)
    large = file_of([piece] * 48)  # more than the buffers of a connection hold
    kubo = Kubo(tmp_path / "kubo")
    kubo.run("config", "--json", "Gateway.MaxConcurrentRequests", "1")
    async with open_gateway(tmp_path / "node", GatewayConfig(max_requests=1)) as gateway:
        await gateway.put(piece, large)
        archive = tmp_path / "content.car"
        archive.write_bytes((await gateway.get(f"/ipfs/{large.cid}?format=car")).body)
        with kubo.running("--offline"):
            kubo.run("dag", "import", "--pin-roots=false", str(archive))
            theirs = await _while_full(kubo.gateway, f"/ipfs/{large.cid}")
        assert theirs == (429, "60", "no-store")
        assert await _while_full(gateway.node.faces.gateway.url, f"/ipfs/{large.cid}") == theirs


async def _while_full(base: str, path: str) -> tuple[int, str | None, str | None]:
    """Status, Retry-After and Cache-Control while one client has not read its answer."""
    url = URL(base)
    assert url.host is not None
    assert url.port is not None
    reader, writer = await narrow_connection(url.host, url.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    async with ClientSession() as client, client.get(f"{base}/ipfs/bafkqaaa") as answer:
        found = answer.status, answer.headers.get("Retry-After"), answer.headers.get("Cache-Control")
    writer.transport.abort()
    return found
