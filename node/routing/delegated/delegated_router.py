"""One router over HTTP (specs: Delegated Routing V1): what it says are hints, and records are verified."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout
from yarl import URL

from blockstore.cid import CID
from cluster.common.peer_id import multihash_of
from cluster.errors import BadAddress
from node.names.errors import BadRecord, NotPublished
from node.names.ipns_record import MAX_BYTES, IpnsRecord, verify
from node.names.name import IpnsName
from node.retrieval.circuit_breaker import GatewayHealth
from node.routing.delegated.peer_records import MAX_LINE, record_of, records_of
from node.routing.router import MAX_PROVIDERS, Provider

_LISTS = {"Accept": "application/x-ndjson, application/json"}
_RECORD = "application/vnd.ipfs.ipns-record"
_MAX_DOCUMENT = 4 * 1024 * 1024  # bytes of a list
_SECONDS = 25.0  # for a whole answer: routers look for 20 to 30
_CONNECT_SECONDS = 5.0
_GONE = (401, 403, 406, 429)

_log = logging.getLogger(__name__)


class DelegatedRouter:
    """Satisfies Router and RecordRoute. A router that fails, or lies, is left alone for a growing time."""

    def __init__(self, url: str, session: ClientSession) -> None:
        self._base = URL(url.rstrip("/").removesuffix("/routing/v1") + "/routing/v1/", encoded=True)
        self._session = session
        self._loop = asyncio.get_running_loop()
        self.health = GatewayHealth()

    def __repr__(self) -> str:
        return f"<DelegatedRouter {self._base.origin()}: {self.health}>"

    async def providers(self, cid: CID) -> AsyncGenerator[Provider]:
        """See `Router.providers`; nothing of a router that fails."""
        count = 0
        async with self._asked("GET", f"providers/{cid.as_v1()}") as answer:
            async for provider in _listed(answer, "Providers"):
                yield provider
                if (count := count + 1) == MAX_PROVIDERS:
                    return

    async def peer(self, peer: str) -> Provider | None:
        """See `Router.peer`."""
        try:
            name = IpnsName(multihash_of(peer))
        except BadAddress:
            return None
        async with self._asked("GET", f"peers/{name}") as answer:
            async for found in _listed(answer, "Peers"):
                if found.peer == peer:
                    return found
        return None

    async def provide(self, cid: CID) -> None:
        """Nothing: the interface has no call for it. Such routers ask a DHT, or this node's own interface."""

    async def find(self, name: IpnsName) -> list[IpnsRecord]:
        """See `NameRouting.find`."""
        async with self._asked("GET", f"ipns/{name}", {"Accept": _RECORD}) as answer:
            if answer is None or answer.content_type != _RECORD:
                return []
            data = await _body(answer, MAX_BYTES)
            try:
                return [verify(name, data, time.time())]
            except BadRecord as error:
                _log.warning("%s sends a bad record of %s: %s", self._base.origin(), name, error)
                self.health.on_bad_block(self._loop.time())
        return []

    async def publish(self, name: IpnsName, record: IpnsRecord) -> None:
        """See `RecordOutlet.publish`."""
        async with self._asked("PUT", f"ipns/{name}", {"Content-Type": _RECORD}, record.raw) as answer:
            if answer is None:
                raise NotPublished(f"the router {self._base.origin()} did not take the record of {name}")

    @asynccontextmanager
    async def _asked(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> AsyncIterator[ClientResponse | None]:
        """The answer, None of a router that fails; troubles while it is read end the block early."""
        asked_at, told = self._loop.time(), False
        if self.health.rest(asked_at):
            yield None
            return
        request = self._session.request(
            method,
            self._base.join(URL(path)),
            headers=headers or _LISTS,
            data=body,
            allow_redirects=False,
            timeout=ClientTimeout(total=_SECONDS, sock_connect=_CONNECT_SECONDS),
        )
        try:
            async with request as answer:
                told = self._judged(answer, asked_at)
                yield answer if told and answer.status == 200 else None
        except (ClientError, TimeoutError, UnicodeError) as error:
            _log.info("%r: %r", self, error)
            self.health.on_failure(self._loop.time())
            if not told:
                yield None

    def _judged(self, answer: ClientResponse, asked_at: float) -> bool:
        """Whether it answered at all."""
        now = self._loop.time()
        if answer.status in _GONE or answer.status >= 500:
            _log.info("%r answered %d", self, answer.status)
            self.health.on_failure(now)
            return False
        self.health.on_answer(asked_at, now)
        return True


async def _listed(answer: ClientResponse | None, name: str) -> AsyncGenerator[Provider]:
    """Line by line where it is sent so, else as one document."""
    if answer is None:
        return
    if answer.content_type != "application/x-ndjson":
        for provider in records_of(await _body(answer, _MAX_DOCUMENT), name):
            yield provider
        return
    async for line in _lines(answer):
        if (found := record_of(line)) is not None:
            yield found


async def _body(answer: ClientResponse, most: int) -> bytes:
    """One byte more than `most` at most, which is then refused as no document and no record."""
    data = b""
    async for part in answer.content.iter_any():
        data += part
        if len(data) > most:
            return data[: most + 1]
    return data


async def _lines(answer: ClientResponse) -> AsyncGenerator[bytes]:
    """It ends at a line that is too long, and where too much comes."""
    rest, size = b"", 0
    async for part in answer.content.iter_any():
        size += len(part)
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line
        if size > _MAX_DOCUMENT or len(rest) > MAX_LINE:
            return
    yield rest
