"""Small answers in memory (LRU), ready to be written: what is at /ipfs/<cid> never changes.

Kept is a 200 that says of itself that it is immutable. Its key is all that such an answer depends on: the
target, the host as its client and the proxies name it, and what Accept asks for. Requests for a range or with
a condition are never answered from here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from time import time
from typing import TypeGuard

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import SERVER_SOFTWARE
from cachetools import LRUCache
from multidict import istr

from node.http.gateway.replies.response_headers import IMMUTABLE

MAX_BYTES = 16 * 1024 * 1024
MAX_BODY = 64 * 1024

_OVERHEAD = 1024  # bytes that an entry takes besides its answer
_MAX_KEY = 1024  # characters
_KEY = (hdrs.HOST, hdrs.X_FORWARDED_HOST, hdrs.X_FORWARDED_PROTO, hdrs.ACCEPT)
_CONDITIONS = (
    hdrs.RANGE,
    hdrs.IF_NONE_MATCH,
    hdrs.IF_MODIFIED_SINCE,
    hdrs.IF_MATCH,
    hdrs.IF_UNMODIFIED_SINCE,
    istr("Service-Worker"),
)

Key = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """An answer in the form it is sent, less its Date, which stands between the two."""

    head: bytes
    body: bytes

    @property
    def size(self) -> int:
        return len(self.head) + len(self.body) + _OVERHEAD


class ReadyResponse(web.StreamResponse):
    """Writes an answer as it is: nothing of it is put together anew. For HTTP/1.1 with keep-alive."""

    def __init__(self, ready: Ready) -> None:
        super().__init__()
        self._ready = ready

    @property
    def body(self) -> bytes:
        return self._ready.body

    @property
    def keep_alive(self) -> bool:
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        writer = request.writer
        ready = self._ready
        await writer.write(b"%b%b\r\n\r\n%b" % (ready.head, _date(int(time())), ready.body))
        await writer.drain()
        return writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Everything is written already."""


class ResponseCache:
    """At most `max_bytes`, the least recently used go first; all are forgotten when `version()` changes."""

    def __init__(self, version: Callable[[], Hashable], max_bytes: int = MAX_BYTES) -> None:
        self.version = version
        self._seen = version()
        self._entries: LRUCache[Key, Ready] = LRUCache(max_bytes, getsizeof=lambda ready: ready.size)

    def get(self, key: Key) -> ReadyResponse | None:
        """The answer that was put under this key."""
        if (now := self.version()) != self._seen:
            self._seen = now
            self._entries.clear()
        ready = self._entries.get(key)
        return None if ready is None else ReadyResponse(ready)

    def put(self, key: Key, response: web.Response, version: Hashable) -> None:
        """Keep a cacheable answer, unless `version`, which is from before it was made, is past.

        Nor is one kept under a long key: a client can make that as long as a request.
        """
        if version == self.version() and key not in self._entries and _is_short(key):
            self._entries[key] = _ready(response)


def cache_key(request: web.Request) -> Key | None:
    """None for a request whose answer is not cached: it depends on more than the key."""
    headers = request.headers
    plain = request.method == hdrs.METH_GET and request.version == HttpVersion11 and request.keep_alive
    if not plain or any(name in headers for name in _CONDITIONS):
        return None
    return request.raw_path, *map(headers.get, _KEY)


def _is_short(key: Key) -> bool:
    return sum(map(len, filter(None, key))) <= _MAX_KEY


def is_cacheable(response: web.StreamResponse) -> TypeGuard[web.Response]:
    """Whether it is a small immutable 200 that is whole in memory."""
    headers = response.headers
    if response.status != 200 or headers.get(hdrs.CACHE_CONTROL) != IMMUTABLE:
        return False
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return False
    one_line = not any("\r" in value or "\n" in value for value in headers.values())
    return one_line and len(response.body) <= MAX_BODY


def _ready(response: web.Response) -> Ready:
    body = response.body
    assert isinstance(body, bytes)  # of a cacheable answer
    sent = {
        **response.headers,
        hdrs.CONTENT_LENGTH: str(len(body)),
        hdrs.SERVER: SERVER_SOFTWARE,
        hdrs.DATE: "",
    }
    lines = "\r\n".join(f"{name}: {value}" for name, value in sent.items())
    return Ready(f"HTTP/1.1 200 OK\r\n{lines}".encode(), body)


@lru_cache(1)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()
