"""Pins in numbers, put into a node over HTTP as a client would: one a request, or many a body."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

_LINES_A_PIECE = 1000


def identity_cid(number: int) -> str:
    """A CID that carries its content, so that there is nothing to fetch; raw, eight bytes."""
    cid = bytes((1, 0x55, 0, 8)) + number.to_bytes(8)
    return "b" + base64.b32encode(cid).decode().lower().rstrip("=")


async def post_one_by_one(api: str, numbers: Sequence[int], clients: int = 32) -> float:
    """Seconds for one request each, from that many connections that stay open."""
    todo = iter(numbers)
    began = time.perf_counter()
    await asyncio.gather(*(_client(api, todo) for _ in range(clients)))
    return time.perf_counter() - began


async def _client(api: str, todo: Iterator[int]) -> None:
    at = urlsplit(api)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    for number in todo:
        path = f"/pins/{identity_cid(number)}?name=pin-{number}"
        writer.write(f"POST {path} HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Length: 0\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 2"):
            raise RuntimeError(f"pin {number}: {head[:200]!r}")
        await _read_body(head, reader)
    writer.close()
    await writer.wait_closed()


async def _read_body(head: bytes, reader: asyncio.StreamReader) -> None:
    _, found, rest = head.partition(b"content-length:")
    if found:
        await reader.readexactly(int(rest.split(b"\r\n")[0]))
    else:
        await reader.readuntil(b"0\r\n\r\n")


def post_in_bulk(api: str, numbers: Sequence[int]) -> None:
    """All of them as one body, until the last answer. Raises RuntimeError for a line that failed."""
    headers = {"Content-Type": "application/x-ndjson"}
    body = _lines(numbers)
    request = urllib.request.Request(f"{api}/v1/pins", data=body, headers=headers, method="POST")
    with urllib.request.urlopen(request, timeout=3600) as answer:
        for line in answer:
            if b'"error"' in line:
                raise RuntimeError(line[:300].decode())


def _lines(numbers: Sequence[int]) -> Iterator[bytes]:
    for start in range(0, len(numbers), _LINES_A_PIECE):
        piece = numbers[start : start + _LINES_A_PIECE]
        pins = ({"cid": identity_cid(number), "name": f"pin-{number}"} for number in piece)
        yield "".join(f"{json.dumps(pin)}\n" for pin in pins).encode()


def disk_bytes(folder: Path) -> int:
    """What the files in that folder take on the disk."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())
