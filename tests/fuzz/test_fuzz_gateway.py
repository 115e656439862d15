"""Invariant: any request gets an expected status in time, no error is unhandled, and the gateway lives on."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from support.gateway import Gateway, open_gateway
from support.gateway_content import DAG, GAP, KNOWN, LIAR, LONG_GAP, SITE_ROOT, STATIC_NAMES, fill
from support.gateway_requests import get, requests
from support.sites import NAME

from node.config.sections import GatewayConfig

SECONDS = 10.0
# 500 is for content and names that are broken; the text says what broke. 403 and 410 are for settings.
EXPECTED = {
    200,
    206,
    301,
    302,
    303,
    304,
    307,
    308,
    400,
    403,
    404,
    405,
    406,
    410,
    412,
    416,
    417,
    451,
    500,
    501,
}
STRICT = GatewayConfig(
    fetch=False,
    hosts=("localhost trustless", f"{NAME} only-pinned"),
    max_response=2000,
    max_range_file=2000,
    server_timing=True,
    x_ipfs_path=True,
)
ENDS_BY_RESET = re.compile(rb" HTTP/(0\.[0-9]|1\.0)\r?\n")
"""Requests whose answer ends so where it breaks off: before HTTP/1.1 a clean end is that of a whole one."""
UNHANDLED = b"Server got itself in trouble"

hostile = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


class Complaints(logging.Handler):
    """What was logged as a warning, or worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


@asynccontextmanager
async def complaints() -> AsyncIterator[list[str]]:
    handler = Complaints()
    logging.getLogger().addHandler(handler)
    try:
        yield handler.texts
    finally:
        logging.getLogger().removeHandler(handler)


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway with some of everything, and what it complained of."""

    gateway: Gateway
    complaints: list[str]

    async def answer(self, request: bytes, *, eof: bool = False) -> bytes | None:
        """None: it broke off."""
        try:
            return await asyncio.wait_for(self.gateway.raw(request, eof=eof), SECONDS)
        except ConnectionResetError:
            assert ENDS_BY_RESET.search(request)
            return None

    async def holds(self, request: bytes) -> None:
        if (answer := await self.answer(request)) is not None:
            check(request, answer)
        known = await self.answer(get(f"/ipfs/{KNOWN.cid}"))
        assert known is not None
        assert known.endswith(KNOWN.data)
        assert self.complaints == []


@asynccontextmanager
async def serving(folder: Path, config: GatewayConfig | None = None) -> AsyncIterator[Served]:
    async with complaints() as texts, open_gateway(folder, config) as gateway:
        await fill(gateway)
        yield Served(gateway, texts)


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPFS_NS_MAP", STATIC_NAMES)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as found:
        yield found


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[Served]:
    """By settings that refuse much."""
    async with serving(tmp_path / "node", replace(STRICT, access_log=str(tmp_path / "access.log"))) as found:
        yield found


def check(request: bytes, answer: bytes) -> None:
    """That it is an answer of this gateway to that request."""
    if request.startswith(b"CONNECT"):
        established, _, answer = answer.partition(b"\r\n\r\n")
        assert established == b"HTTP/1.1 200 Connection established"
        request = request.partition(b"\r\n\r\n")[2]
    head, end, body = answer.partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    told = CIMultiDict([(name, value) for name, _, value in (field.partition(": ") for field in fields)])
    status = int(line.split()[1])
    assert end
    assert status in EXPECTED, line
    assert UNHANDLED not in body
    if "Access-Control-Allow-Origin" not in told:
        assert status == 400, line  # it is no request that a server should try to understand
        return
    assert all(field.isprintable() for field in fields), fields
    assert told.get("Location", "/").startswith(("/", "http://", "https://"))
    assert not told.get("Location", "/").startswith("//")
    assert status < 400 or "immutable" not in told.get("Cache-Control", "") or "Etag" in told
    if request.startswith(b"HEAD") or status == 304:
        assert not body
    elif status in (200, 206) and "Content-Length" in told:
        cut = str(LONG_GAP.cid).encode() in request  # its last block is missing
        assert len(body) == int(told["Content-Length"]) or (cut and len(body) < int(told["Content-Length"]))
    elif status == 500:
        assert len(body.strip()) > 20, body


@given(requests())
@example(get(f"/ipfs/{LONG_GAP.cid}?format=car"))
@example(get(f"/ipfs/{LONG_GAP.cid}"))
@example(get(f"/ipfs/{LONG_GAP.cid}").replace(b"HTTP/1.1", b"HTTP/1.0"))
@example(get(f"/ipfs/{GAP.cid}", Range="bytes=999-1001"))
@example(get(f"/ipfs/{LIAR.cid}", Range="bytes=0-0"))
@example(get(f"/ipfs/{DAG.cid}?format=tar"))
@example(get("/loop", f"{SITE_ROOT}.ipfs.localhost"))
@example(get("/", "a.example.org"))
@settings(hostile, max_examples=200)
async def test_any_request(served: Served, wire: bytes) -> None:
    await served.holds(wire)


@given(requests())
@settings(hostile, max_examples=100)
async def test_any_request_by_settings_that_refuse_much(strict: Served, wire: bytes) -> None:
    await strict.holds(wire)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A request with a few bytes changed, cut out or added, or cut off."""
    wire = draw(requests())
    for _ in range(draw(st.integers(1, 3))):
        place, cut = draw(st.integers(0, len(wire))), draw(st.integers(0, 3))
        wire = wire[:place] + draw(st.binary(max_size=3)) + wire[place + cut :]
    return wire[: draw(st.integers(0, len(wire)))] if draw(st.integers(0, 3)) == 0 else wire


@given(damaged())
@settings(hostile, max_examples=100)
async def test_any_bytes(served: Served, wire: bytes) -> None:
    """What is answered to them, if anything, is HTTP; whoever has said all it has to say is not kept."""
    answer = await served.answer(wire, eof=True) or b""
    assert answer == b"" or answer.startswith(b"HTTP/")
    assert UNHANDLED not in answer
    await served.holds(get("/"))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@given(requests())
@settings(hostile, max_examples=20_000)
async def test_any_of_many_requests(served: Served, wire: bytes) -> None:
    await served.holds(wire)
