"""One other member, as it is reached in bulk: probed until it answers, and again when it fails."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress

from aiohttp import (
    ClientConnectionError,
    ClientError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from blockstore.cid import CID
from blockstore.common.backoff import Backoff
from blockstore.common.throttle import Throttle
from cluster.common.address import Address
from node.bulk.certificates import BadCertificate
from node.bulk.refusals import BulkRefusal, Refusals
from node.bulk.tls import peer_behind
from node.bulk.wire import BLOCKS, HELLO, OFFERS, PROTOCOL, AnswerDecoder, BadBulk, encode_wants
from node.traffic import Traffic

_REQUESTS = 6  # at once; more wait for their turn
_CONNECT_SECONDS = 3.0
_SILENCE_SECONDS = 8.0  # in the middle of an answer
_READ_BYTES = 1024 * 1024  # that wait to be decoded; TCP holds back the rest
_LIAR_SECONDS = 900.0
_PAUSES = Backoff(0.5, 120.0)  # between probes
_log = logging.getLogger(__name__)

BulkAnswer = Sequence[bytes | None]
"""Blocks that are not hashed yet, in the order that they were asked for; None for an absent one."""


class BulkFailed(Exception):
    """The member could not be asked, or its answer ended early: what came before stays good."""


class WrongPeer(ClientConnectionError):
    """Another peer answers than the one that was meant."""


class _Refused(ClientError):
    """It answers, and not this request: it is busy, or of another release."""


class BulkClient:
    """Made for one member and its addresses; `run` keeps it probed for as long as it is a member."""

    def __init__(
        self,
        peer: str,
        addresses: Sequence[str],
        context: ssl.SSLContext,
        refusals: Refusals,
        down: Throttle,
        traffic: Traffic,
    ) -> None:
        self.peer = peer
        self.addresses = tuple(addresses)
        self.received = 0  # bytes of blocks
        self._bases = [_base(Address.parse(address)) for address in addresses]
        self._base: str | None = None
        self._refusals = refusals
        self._down = down
        self._traffic = traffic
        self._failed = asyncio.Event()
        self._appeared = asyncio.Event()
        self._rest_until = 0.0
        self._loop = asyncio.get_running_loop()
        self._session = ClientSession(
            connector=_MemberConnector(peer, context, refusals),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=_READ_BYTES,
            timeout=ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS),
        )

    def __repr__(self) -> str:
        return f"<BulkClient of {self.peer}: {self._base or 'not reached'}>"

    @property
    def reached(self) -> bool:
        """Whether its last answer is the newest news of it."""
        return self._base is not None and self._loop.time() >= self._rest_until

    async def run(self) -> None:
        """Probe it, and again whenever it has failed; until cancelled."""
        try:
            while True:
                for pause in _PAUSES:
                    if await self._probe():
                        break
                    await self._rest(pause)
                await self._failed.wait()
        finally:
            await self._session.close()

    async def blocks(self, cids: Sequence[CID]) -> AsyncGenerator[BulkAnswer]:
        """Its answers for these, in order, as they come. Closing it ends the request at once.

        Raises BulkFailed.
        """
        decoder = AnswerDecoder(len(cids))
        async with self._asked(BLOCKS, cids) as response:
            async for data in response.content.iter_any():
                self._traffic.received(PROTOCOL, len(data))
                await self._down.let_pass(len(data))
                if found := decoder.feed(data):
                    self.received += sum(len(block) for block in found if block)
                    yield found
            if not decoder.complete:
                raise BadBulk("an answer that ends too early")

    async def offer(self, cids: Sequence[CID]) -> None:
        """Tell it that these are being added here. Raises BulkFailed."""
        async with self._asked(OFFERS, cids):
            pass

    @asynccontextmanager
    async def _asked(self, path: str, cids: Sequence[CID]) -> AsyncIterator[ClientResponse]:
        """Its answer to a list, for the length of the block. Raises BulkFailed, for what fails there too."""
        if (base := self._base) is None:
            raise BulkFailed(f"{self.peer} is not reached")
        with self._failing():
            wants = encode_wants(cids)
            self._traffic.sent(PROTOCOL, len(wants))
            async with self._session.post(f"{base}{path}", data=wants) as response:
                _check(response)
                yield response

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """What can go wrong with a request, as BulkFailed."""
        try:
            yield
        except BadBulk as error:
            self._refusals.add(BulkRefusal.BAD_ANSWER, f"{self.peer}: {error}")
            self.fail()
            raise BulkFailed(str(error)) from None
        except _Refused as error:
            raise BulkFailed(f"{self.peer}: {error}") from None
        except RuntimeError as error:  # aiohttp's, of a session that was closed meanwhile
            if not self._session.closed:
                raise
            raise BulkFailed(f"{self.peer} is no member any more: {error}") from None
        except (ClientError, OSError) as error:
            self.fail()
            raise BulkFailed(f"{self.peer}: {error!r}") from None

    def fail(self) -> None:
        """It does not answer as it should: it is probed before it is asked again."""
        self._base = None
        self._failed.set()

    def distrust(self, error: Exception) -> None:
        """It gave bytes that are not the block: it is left alone for a while."""
        self._refusals.add(BulkRefusal.WRONG_BYTES, f"{self.peer}: {error}")
        self._rest_until = self._loop.time() + _LIAR_SECONDS

    def appeared(self) -> None:
        """It has shown itself on another way: it is probed at once."""
        self._appeared.set()

    async def _rest(self, pause: float) -> None:
        self._appeared.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._appeared.wait()

    async def _probe(self) -> bool:
        self._failed.clear()
        for base in self._bases:
            try:
                async with self._session.get(f"{base}{HELLO}") as response:
                    _check(response)
                    await response.read()
            except (ClientError, OSError) as error:
                _log.debug("%s is not reached at %s: %r", self.peer, base, error)
            else:
                self._base = base
                return True
        return False


class _MemberConnector(TCPConnector):
    """Connections to one peer alone: nothing is said before its key was looked at."""

    def __init__(self, peer: str, context: ssl.SSLContext, refusals: Refusals) -> None:
        super().__init__(ssl=context, limit=_REQUESTS, keepalive_timeout=60.0)
        self._member = peer
        self._refusals = refusals

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:
        connection = await super().connect(req, traces, timeout)
        try:
            self._check(connection)
        except WrongPeer as error:
            connection.close()
            self._refusals.add(BulkRefusal.WRONG_KEY, str(error))
            raise
        return connection

    def _check(self, connection: Connection) -> None:
        transport = connection.transport
        try:
            found = peer_behind(transport) if transport is not None else ""
        except BadCertificate as error:
            raise WrongPeer(str(error)) from None
        if found != self._member:
            raise WrongPeer(f"{found or 'no peer'} answers where {self._member} was meant")


def _base(address: Address) -> str:
    host = f"[{address.host}]" if address.kind == "ip6" else address.host
    return f"https://{host}:{address.port}"


def _check(response: ClientResponse) -> None:
    """Raises _Refused for anything but 200."""
    if response.status != 200:
        raise _Refused(f"status {response.status}")
