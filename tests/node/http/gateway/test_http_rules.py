"""What HTTP asks of every answer (RFC 9110), held against every kind of content and format."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import ClientPayloadError
from support.gateway import Answer, Gateway, open_gateway
from support.gateway_content import PLACES, STATIC_NAMES, fill

SUFFIXES = (
    "",
    "?format=raw",
    "?format=car",
    "?format=tar",
    "?format=json",
    "?format=dag-cbor",
    "?filename=a.b",
)
SAME = (
    "Accept-Ranges",
    "Access-Control-Allow-Origin",
    "Content-Disposition",
    "Content-Type",
    "Etag",
    "Ipfs-Uri",
    "Last-Modified",
    "Location",
    "X-Ipfs-Roots",
)
KEPT = ("Access-Control-Allow-Origin", "Etag", "Ipfs-Uri", "X-Ipfs-Roots")


Answers = tuple[Gateway, dict[tuple[str, str], Answer]]


@pytest.fixture
async def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Answers]:
    """A gateway, and what it gives for each host, path and suffix."""
    monkeypatch.setenv("IPFS_NS_MAP", STATIC_NAMES)
    async with open_gateway(tmp_path) as gateway:
        await fill(gateway)
        found = {}
        for host, path in PLACES[::3]:  # all kinds of content are among them
            for suffix in SUFFIXES:
                with suppress(ClientPayloadError):  # a file with a gap, as CAR: it begins, and is cut
                    found[host, path + suffix] = await gateway.get(path + suffix, Host=host)
        yield gateway, found


async def test_every_kind_of_content_keeps_to_the_rules(answers: Answers) -> None:
    gateway, found = answers
    assert {answer.status for answer in found.values()} >= {200, 301, 400, 404, 406, 500, 501}
    for (host, path), answer in found.items():
        await head_is_the_same_without_a_body(gateway, host, path, answer)
        if answer.status == 200:
            await it_is_known_by_its_etag(gateway, host, path, answer)
            await its_parts_are_parts_of_it(gateway, host, path, answer)


async def head_is_the_same_without_a_body(gateway: Gateway, host: str, path: str, answer: Answer) -> None:
    head = await gateway.head(path, Host=host)
    if answer.status >= 400:  # what a GET finds while it reads, a HEAD need not find
        assert head.status in (200, answer.status), (host, path)
        return
    assert (head.status, head.body) == (answer.status, b""), (host, path)
    for name in SAME:
        assert head.headers.get(name) == answer.headers.get(name), (host, path, name)
    if "Content-Length" in head.headers and answer.status == 200:
        assert int(head.headers["Content-Length"]) == len(answer.body), (host, path)


async def it_is_known_by_its_etag(gateway: Gateway, host: str, path: str, answer: Answer) -> None:
    etag = answer.headers["Etag"]
    known = await gateway.get(path, Host=host, If_None_Match=f'"x", {etag}')
    assert (known.status, known.body) == (304, b""), (host, path)
    for name in KEPT:
        assert known.headers[name] == answer.headers[name], (host, path, name)
    assert known.headers["Cache-Control"].split("=")[0] == answer.headers["Cache-Control"].split("=")[0]
    refused = await gateway.get(path, Host=host, If_Match='"x"')
    assert (refused.status, refused.headers["Etag"]) == (412, etag), (host, path)


async def its_parts_are_parts_of_it(gateway: Gateway, host: str, path: str, answer: Answer) -> None:
    size = len(answer.body)
    if answer.headers.get("Accept-Ranges") != "bytes":
        assert (await gateway.get(path, Host=host, Range="bytes=0-0")).status == 200, (host, path)
        return
    for asked, start, stop in (
        ("0-0", 0, 1),
        ("1-2", 1, 3),
        ("-1", -1, None),
        (f"{size - 1}-", size - 1, None),
    ):
        part = await gateway.get(path, Host=host, Range=f"bytes={asked}")
        if not size:
            assert (part.status, part.body) == (200, b"")
        elif not answer.body[start:stop]:
            assert part.status == 416
            assert part.headers["Content-Range"] == f"bytes */{size}"
        else:
            assert (part.status, part.body) == (206, answer.body[start:stop]), (host, path, asked)
            assert part.headers["Etag"] == answer.headers["Etag"]
            assert part.headers["Content-Range"].endswith(f"/{size}")
    assert (await gateway.get(path, Host=host, Range=f"bytes={size}-")).status == (416 if size else 200)
