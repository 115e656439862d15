"""One trustless gateway: blocks over HTTP, each verified (specs: trustless gateway, `?format=raw`)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from functools import partial
from time import time

from aiohttp import ClientConnectionError, ClientError, ClientResponse, ClientSession
from yarl import URL

from blockstore.block import MAX_BLOCK_BYTES, Block
from blockstore.cid import CID
from blockstore.common.guard import Guard
from blockstore.common.throttle import Throttle
from blockstore.errors import BlockNotFound, BlockstoreError, HashMismatch
from blockstore.fetch_progress import FetchProgress
from blockstore.fetch_report import FetchOutcome, FetchReport
from node.retrieval.circuit_breaker import GatewayHealth
from node.retrieval.gateway_timeouts import GatewayTimeouts
from node.retrieval.request_slots import RequestSlot, RequestSlots
from node.retrieval.single_flight import SingleFlight

_log = logging.getLogger(__name__)
_HEADERS = {"Accept": "application/vnd.ipld.raw", "Accept-Encoding": "identity"}
_MAX_REDIRECTS = 4
_INLINE_BYTES = 64 * 1024  # blocks up to this are hashed on the loop: a thread would cost more
_SHORT_REST = 2.0  # seconds
_MAY_PASS = (FetchOutcome.UNREACHABLE, FetchOutcome.FAILING, FetchOutcome.BUSY)


class _Refused(Exception):
    """No block, and why."""

    def __init__(self, outcome: FetchOutcome) -> None:
        self.outcome = outcome


class TrustlessGateway:
    """Satisfies Exchange. Only bytes that hash to their CID come out of it."""

    def __init__(
        self, url: str, session: ClientSession, patience: GatewayTimeouts, down: Throttle, guard: Guard
    ) -> None:
        self._url = URL(url.rstrip("/") + "/ipfs/", encoded=True)
        self._session = session
        self._patience = patience
        self._down = down
        self._guard = guard
        self._turns = RequestSlots(patience.requests)
        self._calls: SingleFlight[CID, Block] = SingleFlight()
        self._loop = asyncio.get_running_loop()
        self.health = GatewayHealth(patience.rest)

    def __repr__(self) -> str:
        return f"<TrustlessGateway {self._url.origin()}: {self.health}>"

    async def fetch(
        self, cid: CID, hints: Sequence[str] = (), progress: FetchProgress | None = None
    ) -> Block:
        """See `Exchange.fetch`; hints mean nothing here. Requests for one block share an HTTP request."""
        if cid.is_identity:
            return Block.inline(cid)
        if progress is not None:
            progress.follow(lambda: (self._report(cid),))
        try:
            return await self._calls.get(cid, partial(self._in_turn, cid))
        except _Refused as refusal:
            report = FetchReport(source="gateway", connected=1, outcomes=(refusal.outcome,))
            raise BlockNotFound.after(cid, report) from None

    def session(self, root: CID) -> TrustlessGateway:
        return self

    def _report(self, cid: CID) -> FetchReport:
        rest = self.health.rest(self._loop.time())
        if rest > _SHORT_REST:
            return FetchReport(source="gateway", outcomes=(FetchOutcome.RESTING,))
        outcomes = (FetchOutcome.PAUSING if rest else FetchOutcome.WAITING,) if cid in self._calls else ()
        return FetchReport(source="gateway", connected=1, outcomes=outcomes)

    async def _in_turn(self, cid: CID) -> Block:
        """Asks, and once more where the gateway had only a moment's trouble. Raises _Refused."""
        async with self._turns.one() as turn:
            await self._rested()
            try:
                return await self._asked(cid, turn)
            except _Refused as refusal:
                short = self.health.rest(self._loop.time()) <= _SHORT_REST
                if refusal.outcome not in _MAY_PASS or not short:
                    raise
            await self._rested()
            return await self._asked(cid, turn)

    async def _rested(self) -> None:
        """Short rests are waited for: a stream through a gateway outlives its hiccups. Raises _Refused."""
        while rest := self.health.rest(self._loop.time()):
            if rest > _SHORT_REST:
                raise _Refused(FetchOutcome.RESTING)
            await asyncio.sleep(rest)

    async def _asked(self, cid: CID, turn: RequestSlot) -> Block:
        """The block, and what this taught about the gateway. Raises _Refused, BlockstoreError."""
        bug = _Refused(FetchOutcome.FAILING)
        found: Block | _Refused | BlockstoreError = bug
        with self._guard.around("a fetch from", str(self._url.origin())):
            try:
                found = await self._answered(cid, turn)
            except (_Refused, BlockstoreError) as error:
                found = error
        if isinstance(found, Block):
            return found
        if found is bug:  # it was logged: what one gateway sends leaves the others to be asked
            self.health.on_failure(self._loop.time())
        raise found

    async def _answered(self, cid: CID, turn: RequestSlot) -> Block:
        """Raises _Refused for whatever a gateway or the way to it can do wrong."""
        asked_at = self._loop.time()
        try:
            data = await self._get(cid, asked_at, turn)
            await self._down.let_pass(len(data))  # its turn is over after that
            return await self._verified(cid, data)
        except asyncio.CancelledError:
            self.health.on_left(asked_at, self._loop.time())
            raise
        except TimeoutError:
            self.health.on_silence(asked_at, self._loop.time())
            raise _Refused(FetchOutcome.SILENT) from None
        except HashMismatch as error:
            _log.warning("%s; the gateway is left alone for a while", error)
            self.health.on_bad_block(self._loop.time())
            raise _Refused(FetchOutcome.WRONG) from None
        except (ClientError, UnicodeError) as error:  # it may send us to a host whose name cannot be encoded
            _log.info("%r: %r", self, error)
            self.health.on_failure(self._loop.time())
            unreachable = isinstance(error, ClientConnectionError)
            raise _Refused(FetchOutcome.UNREACHABLE if unreachable else FetchOutcome.FAILING) from None

    async def _get(self, cid: CID, asked_at: float, turn: RequestSlot) -> bytes:
        """Bytes as the gateway sends them. Raises _Refused, TimeoutError, ClientError."""
        url = self._url.joinpath(str(cid.as_v1()), encoded=True).with_query(format="raw")
        async with asyncio.timeout(self._patience.block):
            async with asyncio.timeout(self._patience.headers):
                request = self._session.get(url, headers=_HEADERS, max_redirects=_MAX_REDIRECTS)
                with turn.waiting(self._patience.hedge):
                    response = await request
            async with response:
                self._judge(response, asked_at)
                return await self._body(cid, response)

    def _judge(self, response: ClientResponse, asked_at: float) -> None:
        """What a status says of the gateway. Raises _Refused for all but 200."""
        now = self._loop.time()
        if response.status in (429, 503):
            asked = _seconds(response.headers.get("Retry-After", ""))
            self.health.postpone(now, max(asked, self._patience.rest))
            raise _Refused(FetchOutcome.BUSY)
        if response.status in (401, 403, 406) or (response.status >= 500 and response.status != 504):
            _log.info("%r answered %d", self, response.status)
            self.health.on_failure(now)
            raise _Refused(FetchOutcome.FAILING)
        self.health.on_answer(asked_at, now)
        if response.status != 200:  # 504: it looked for the block, and has not found it
            raise _Refused(FetchOutcome.SILENT if response.status == 504 else FetchOutcome.LACKING)

    async def _body(self, cid: CID, response: ClientResponse) -> bytes:
        """Raises HashMismatch for more bytes than a block may have."""
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_any():
            size += len(part)
            if size > MAX_BLOCK_BYTES:
                response.close()
                raise HashMismatch(
                    cid, f"{self._url.origin()}, which sends more than {MAX_BLOCK_BYTES} bytes"
                )
            parts.append(part)
        return b"".join(parts)

    async def _verified(self, cid: CID, data: bytes) -> Block:
        """Raises HashMismatch."""
        source = str(self._url.origin())
        if len(data) <= _INLINE_BYTES:
            return Block.verify(cid, data, source)
        return await asyncio.to_thread(Block.verify, cid, data, source)


def _seconds(retry_after: str) -> float:
    """What a Retry-After header asks for, a number or a date (RFC 9110, section 10.2.3); 0 when neither."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        return parsedate_to_datetime(retry_after).timestamp() - time()
    except (ValueError, OverflowError):
        return 0.0
