"""Trustless gateways as a route to blocks: several of them, the healthiest first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

from blockstore.block import Block
from blockstore.cid import CID
from blockstore.common.guard import Guard
from blockstore.common.throttle import Throttle
from blockstore.errors import BlockNotFound
from blockstore.fetch_progress import FetchProgress
from blockstore.fetch_report import FetchReport, together
from node.retrieval.gateway_timeouts import GatewayTimeouts
from node.retrieval.hedged_exchange import HedgedExchange, Route
from node.retrieval.trustless_gateway import TrustlessGateway
from node.version import VERSION

_KEEP_ALIVE = 60.0


@asynccontextmanager
async def open_gateways(
    urls: Sequence[str],
    patience: GatewayTimeouts | None = None,
    guard: Guard | None = None,
    down: Throttle | None = None,
) -> AsyncIterator[Gateways]:
    """Ask these gateways for the length of the block; leaving it ends what is being fetched.

    `down` is what their answers pass.
    """
    patience, guard, down = patience or GatewayTimeouts(), guard or Guard(), down or Throttle()
    async with ClientSession(
        connector=TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE),  # their turns bound them
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        headers={"User-Agent": f"pinfold/{VERSION}"},
        timeout=ClientTimeout(total=None, sock_connect=patience.headers),
    ) as session:
        gateways = [TrustlessGateway(url, session, patience, down, guard) for url in urls]
        yield Gateways(gateways, patience.hedge)


class Gateways:
    """Satisfies Exchange. Within a DAG the gateway that answered last is asked first."""

    def __init__(self, gateways: Sequence[TrustlessGateway], hedge: float) -> None:
        """`hedge`: seconds until the next one is asked too."""
        self._gateways = tuple(gateways)
        self._hedge = hedge
        self._loop = asyncio.get_running_loop()

    def __repr__(self) -> str:
        return f"<Gateways {list(self._gateways)}>"

    async def fetch(
        self, cid: CID, hints: Sequence[str] = (), progress: FetchProgress | None = None
    ) -> Block:
        """See `Exchange.fetch`."""
        return await self.session(cid).fetch(cid, hints, progress)

    def session(self, root: CID) -> GatewaySession:
        now = self._loop.time()
        best = sorted(self._gateways, key=lambda gateway: gateway.health.order(now))
        return GatewaySession(self, HedgedExchange([Route("", gateway, self._hedge) for gateway in best]))


class GatewaySession:
    """Satisfies Exchange: the gateways for one DAG, reported as one kind of source."""

    def __init__(self, gateways: Gateways, exchange: HedgedExchange) -> None:
        self._gateways = gateways
        self._exchange = exchange

    async def fetch(
        self, cid: CID, hints: Sequence[str] = (), progress: FetchProgress | None = None
    ) -> Block:
        """See `Exchange.fetch`; hints mean nothing to gateways."""
        hedged = FetchProgress()
        if progress is not None:
            progress.follow(lambda: _as_one(hedged))
        try:
            return await self._exchange.fetch(cid, (), hedged)
        except BlockNotFound as error:
            raise BlockNotFound.after(cid, together(error.reports)) from None

    def session(self, root: CID) -> GatewaySession:
        return self._gateways.session(root)


def _as_one(progress: FetchProgress) -> tuple[FetchReport, ...]:
    reports = progress.reports()
    return (together(reports),) if reports else ()
