"""What a gateway refuses, slows down and cuts short, so that nobody uses it up."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest
from support.gateway import Gateway, directory, file_of, narrow_connection, open_gateway
from support.node import eventually

from blockstore.block import Block
from node.config.sections import GatewayConfig
from node.http.gateway.formats.archive import BROKEN_OFF

SMALL = Block.of(b"hello\n")
PIECE = Block.of(b"p" * 1024 * 1024)
LARGE = file_of([PIECE] * 48)  # more than the buffers of a connection hold

OpenWith = Callable[[GatewayConfig], Awaitable[Gateway]]


class Greedy:
    """A client that asks, and reads when it is told to."""

    def __init__(self, gateway: Gateway) -> None:
        self._listener = gateway.node.faces.gateway
        self.length = 0

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await narrow_connection(self._listener.host, self._listener.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    def send(self, path: str, times: int = 1) -> None:
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * times)

    async def ask(self, path: str, times: int = 1) -> None:
        self.send(path, times)
        assert (await self.reader.readline()).startswith(b"HTTP/1.1 200")

    async def read_to_end(self) -> None:
        """Raises ConnectionError where it was no clean one."""
        while piece := await self.reader.read(1 << 20):
            self.length += len(piece)

    async def read_all(self) -> int:
        """Bytes until the end, clean or not."""
        with suppress(ConnectionError):
            await self.read_to_end()
        return self.length


async def until_there_is_room(gateway: Gateway) -> None:
    async def answered() -> bool:
        return (await gateway.get(f"/ipfs/{SMALL.cid}")).status == 200

    await eventually(answered)


@pytest.fixture
async def open_with(tmp_path: Path) -> AsyncIterator[OpenWith]:
    opened = []

    async def opener(settings: GatewayConfig) -> Gateway:
        opened.append(open_gateway(tmp_path, settings))
        gateway = await opened[-1].__aenter__()
        await gateway.put(SMALL, PIECE, LARGE)
        return gateway

    yield opener
    for one in opened:
        await one.__aexit__(None, None, None)


async def test_a_full_gateway_answers_429_until_somebody_has_left(open_with: OpenWith) -> None:
    gateway = await open_with(GatewayConfig(max_requests=1))
    async with Greedy(gateway) as greedy:
        await greedy.ask(f"/ipfs/{LARGE.cid}")
        refused = await gateway.get(f"/ipfs/{SMALL.cid}")
        assert (refused.status, refused.headers["Retry-After"]) == (429, "60")
        assert refused.headers["Cache-Control"] == "no-store"
        assert refused.headers["Access-Control-Allow-Origin"] == "*"
        assert "1 requests at once" in refused.text
        page = await gateway.get(f"/ipfs/{SMALL.cid}", Accept="text/html")
        assert (page.status, page.headers["Content-Type"]) == (429, "text/html; charset=utf-8")

    await until_there_is_room(gateway)


async def test_a_large_block_counts_until_it_is_sent(open_with: OpenWith) -> None:
    gateway = await open_with(GatewayConfig(max_requests=1))
    async with Greedy(gateway) as greedy:

        async def stays_full() -> bool:
            # Once more each time: a request that comes while SMALL is served is refused, and fills no buffer.
            greedy.send(f"/ipfs/{PIECE.cid}?format=raw")
            statuses = [(await gateway.get(f"/ipfs/{SMALL.cid}")).status for _ in range(100)]
            return set(statuses) == {429}

        await eventually(stays_full)


async def test_whoever_asks_too_often_is_told_when_to_come_back(open_with: OpenWith) -> None:
    gateway = await open_with(GatewayConfig(client_rate=0.02, client_burst=2))
    statuses = [(await gateway.get(f"/ipfs/{SMALL.cid}")).status for _ in range(2)]
    assert statuses == [200, 200]
    refused = await gateway.get(f"/ipfs/{SMALL.cid}")
    assert (refused.status, refused.headers["Cache-Control"]) == (429, "no-store")
    assert 1 < int(refused.headers["Retry-After"]) <= 50
    assert "0.02 a second" in refused.text


async def test_behind_a_trusted_proxy_each_client_has_its_own_rate(open_with: OpenWith) -> None:
    gateway = await open_with(GatewayConfig(client_rate=0.01, client_burst=1))

    async def status(forwarded: str) -> int:
        return (await gateway.get(f"/ipfs/{SMALL.cid}", X_Forwarded_For=forwarded)).status

    assert await status("192.0.2.1") == 200
    assert await status("192.0.2.2") == 200
    assert await status("198.51.100.1, 192.0.2.1") == 429
    assert await status("2001:db8::1") == 200
    assert await status("2001:db8::2") == 429


async def test_nobody_else_chooses_its_own_address(open_with: OpenWith) -> None:
    gateway = await open_with(
        GatewayConfig(client_rate=0.01, client_burst=1, trusted_proxies=("203.0.113.1",))
    )
    for address, status in (("192.0.2.1", 200), ("192.0.2.2", 429)):
        assert (await gateway.get(f"/ipfs/{SMALL.cid}", X_Forwarded_For=address)).status == status


async def test_a_client_may_have_so_many_requests_at_once(open_with: OpenWith) -> None:
    gateway = await open_with(GatewayConfig(client_requests=1))
    async with Greedy(gateway) as greedy:
        await greedy.ask(f"/ipfs/{LARGE.cid}")
        refused = await gateway.get(f"/ipfs/{SMALL.cid}")
        assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
        other = await gateway.get(f"/ipfs/{SMALL.cid}", X_Forwarded_For="192.0.2.1")
        assert other.status == 200


@pytest.mark.parametrize("path", ["/ipfs/{}", "/ipfs/{}?format=car", "/ipfs/{}?format=raw"])
async def test_bytes_come_at_the_clients_pace_and_all_of_them(open_with: OpenWith, path: str) -> None:
    gateway = await open_with(GatewayConfig(client_bytes=500_000))
    file = Block.of(b"f" * 700_000) if path.endswith("raw") else file_of([Block.of(b"f" * 175_000)] * 4)
    await gateway.put(file, Block.of(b"f" * 175_000))
    began = time.monotonic()
    query = "&car-dups=y" if "car" in path else ""
    answer = await gateway.get(path.format(file.cid) + query)
    assert len(answer.body) >= 700_000
    assert time.monotonic() - began > 0.3
    assert (await gateway.get(f"/ipfs/{SMALL.cid}", X_Forwarded_For="192.0.2.1")).body == SMALL.data


async def test_files_above_the_cap_are_gone_for_a_week(open_with: OpenWith) -> None:
    gateway = await open_with(GatewayConfig(max_response=1_000_000))
    tree = directory({"large": LARGE.cid, "small": SMALL.cid})
    await gateway.put(tree)
    files = await gateway.add({f"d/{number}": b"%d" % number * 100_000 for number in range(10)})
    for path, headers in (
        (f"/ipfs/{LARGE.cid}", {}),
        (f"/ipfs/{LARGE.cid}", {"Range": "bytes=0-1"}),
        (f"/ipfs/{tree.cid}/large", {}),
        (f"/ipfs/{PIECE.cid}", {}),
        (f"/ipfs/{LARGE.cid}?format=tar", {}),
        (f"/ipfs/{files}?format=tar", {}),
    ):
        refused = await gateway.get(path, **headers)
        assert refused.status == 410
        assert refused.headers["Cache-Control"] == "public, max-age=604800, stale-while-revalidate=2678400"
        assert "no content of more than 1000000 bytes: get it by its blocks (?format=raw)" in refused.text
        assert (await gateway.head(path, **headers)).status == 410
    assert (await gateway.get(f"/ipfs/{PIECE.cid}?format=raw")).body == PIECE.data
    assert (await gateway.get(f"/ipfs/{tree.cid}/small")).body == SMALL.data


async def test_a_car_above_the_cap_is_cut_and_says_so(open_with: OpenWith) -> None:
    gateway = await open_with(GatewayConfig(max_response=3_000_000))
    async with Greedy(gateway) as greedy:
        await greedy.ask(f"/ipfs/{LARGE.cid}?format=car&car-dups=y")
        body = b""
        while piece := await greedy.reader.read(1 << 20):
            body += piece
    assert 2_000_000 < len(body) < 3_001_000
    assert BROKEN_OFF in body[-1000:]


async def test_a_tree_whose_tar_proves_too_large_is_broken_off(open_with: OpenWith) -> None:
    gateway = await open_with(GatewayConfig(max_response=3_000_000))
    tree = directory({"large": LARGE.cid})  # its links claim ten bytes each
    await gateway.put(tree)
    async with Greedy(gateway) as greedy:
        await greedy.ask(f"/ipfs/{tree.cid}?format=tar")
        assert await greedy.read_all() < 3_001_000


async def test_a_listing_above_the_cap_says_that_it_breaks_off(open_with: OpenWith) -> None:
    gateway = await open_with(GatewayConfig(max_response=300_000))
    tree = directory({f"{number:0200}": SMALL.cid for number in range(4000)})
    await gateway.put(tree)
    async with Greedy(gateway) as greedy:
        await greedy.ask(f"/ipfs/{tree.cid}/")
        body = b""
        while piece := await greedy.reader.read(1 << 20):
            body += piece
    assert 100_000 < len(body) < 310_000
    assert b"The listing breaks off here" in body[-1000:]


async def test_ranges_of_files_above_the_cap_are_not_implemented(open_with: OpenWith) -> None:
    gateway = await open_with(GatewayConfig(max_range_file=len(PIECE.data)))
    refused = await gateway.get(f"/ipfs/{LARGE.cid}", Range="bytes=0-9")
    assert refused.status == 501
    assert f"no ranges of files of more than {len(PIECE.data)} bytes" in refused.text
    assert (await gateway.get(f"/ipfs/{LARGE.cid}")).status == 200
    small = file_of([PIECE])
    await gateway.put(small)
    assert (await gateway.get(f"/ipfs/{small.cid}", Range="bytes=0-9")).body == b"p" * 10


async def test_a_client_that_does_not_read_is_left(open_with: OpenWith) -> None:
    gateway = await open_with(GatewayConfig(send_timeout=0.3, max_requests=1))
    async with Greedy(gateway) as greedy:
        await greedy.ask(f"/ipfs/{LARGE.cid}")

        await until_there_is_room(gateway)
        assert await greedy.read_all() < 48 * len(PIECE.data)


async def test_nothing_is_kept_for_a_client_that_was_left(open_with: OpenWith) -> None:
    """Not by the kernel either, which would offer it some MiB for minutes."""
    gateway = await open_with(GatewayConfig(send_timeout=0.3, max_requests=1))
    async with Greedy(gateway) as greedy:
        await greedy.ask(f"/ipfs/{LARGE.cid}")

        await until_there_is_room(gateway)
        with pytest.raises(ConnectionResetError):
            await greedy.read_to_end()


async def test_a_client_that_does_not_read_its_many_small_answers_is_left(open_with: OpenWith) -> None:
    gateway = await open_with(GatewayConfig(send_timeout=0.3))
    small = Block.of(b"s" * 60_000)
    await gateway.put(small)
    async with Greedy(gateway) as greedy:
        greedy.send(f"/ipfs/{small.cid}", times=1000)

        async def left() -> bool:
            greedy.writer.write(b" ")
            return greedy.writer.transport.is_closing()

        await eventually(left)


async def test_a_client_that_reads_slowly_gets_everything(open_with: OpenWith) -> None:
    gateway = await open_with(GatewayConfig(send_timeout=1.0))
    async with Greedy(gateway) as greedy:
        await greedy.ask(f"/ipfs/{LARGE.cid}")
        length = 0
        began = time.monotonic()
        while time.monotonic() < began + 1.5:
            length += len(await greedy.reader.readexactly(1 << 19))
            await asyncio.sleep(0.03)  # being slow is what is tested
        whole = 48 * len(PIECE.data)
        while length < whole:
            piece = await greedy.reader.read(1 << 20)
            assert piece
            length += len(piece)


async def test_a_block_is_sent_for_the_longest_time_too(open_with: OpenWith) -> None:
    gateway = await open_with(GatewayConfig(max_seconds=0.3))
    async with Greedy(gateway) as greedy:
        await greedy.ask(f"/ipfs/{PIECE.cid}?format=raw", times=20)  # kernels hold some 5 MiB

        async def left() -> bool:
            greedy.writer.write(b" ")
            return greedy.writer.transport.is_closing()

        await eventually(left)


async def test_an_answer_ends_after_the_longest_time(open_with: OpenWith) -> None:
    gateway = await open_with(GatewayConfig(max_seconds=0.3, client_bytes=200_000))
    async with Greedy(gateway) as greedy:
        began = time.monotonic()
        await greedy.ask(f"/ipfs/{LARGE.cid}")
        assert 100_000 < await greedy.read_all() < len(PIECE.data)
        assert time.monotonic() - began < 48 * len(PIECE.data) / 200_000
