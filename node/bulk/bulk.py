"""Bulk between members put together: read top to bottom, it is the order of life."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from aiohttp import web

from bitswap.network import ServedBlockSource
from blockstore.common.guard import Guard
from blockstore.common.tasks import background, open_guarded_tasks
from blockstore.common.throttle import BothWays, unlimited
from cluster.common.address import Address
from cluster.errors import BadAddress
from node.bulk.arrivals import Arrivals
from node.bulk.certificates import Authority
from node.bulk.early import EarlyFetches
from node.bulk.exchange import BulkExchange
from node.bulk.listener import listening
from node.bulk.members import BulkMembers
from node.bulk.offers import Offers
from node.bulk.refusals import Refusals
from node.bulk.serving import BulkServer
from node.bulk.tls import MemberTls
from node.datadir.identity import Identity
from node.traffic import ProtocolTraffic, Traffic

_IDLE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class BulkSettings:
    """Where to listen (port 0 = any free one), and what proves membership: the cluster's secret and id.

    `limits`: what blocks pass.
    """

    host: str
    port: int
    cluster_id: bytes
    secret: bytes = field(repr=False)
    limits: BothWays = field(default_factory=unlimited)


class Bulk:
    """Blocks in bulk, both ways. Made by `open_bulk`."""

    def __init__(
        self,
        listener: tuple[str, int],
        exchange: BulkExchange,
        early: EarlyFetches,
        offers: Offers,
        server: BulkServer,
        arrivals: Arrivals,
        refusals: Refusals,
        traffic: Traffic,
    ) -> None:
        self.host, self.port = listener
        self.exchange = exchange
        self.early = early
        self.offers = offers
        self._server = server
        self._arrivals = arrivals
        self._members = exchange.members
        self._refusals = refusals
        self._traffic = traffic

    def admit(self, members: Mapping[str, Sequence[str]], followers: Collection[str] = ()) -> None:
        """These are the members, each with the addresses where it offers blocks in bulk; there are no others.

        Connections to and from those that are left out end at once. What `followers` offer, who can pin
        nothing, is passed over.
        """
        self.early.admit(frozenset(members) - frozenset(followers))
        self._arrivals.admit(frozenset(members))
        self._members.set(members)

    def appeared(self, peer: str) -> None:
        """That peer has connected on the members' network: if it was not reached in bulk, it may be now."""
        self._members.appeared(peer)

    def reached(self) -> frozenset[str]:
        """Members that blocks are fetched from in bulk."""
        return self._members.reached()

    def sent(self, peer: str) -> int:
        """Bytes of blocks that this member was sent."""
        return self._server.sent[peer]

    def refused(self) -> Mapping[str, int]:
        """How often something was refused, by reason."""
        return self._refusals.counts()

    def traffic(self) -> Mapping[str, ProtocolTraffic]:
        """Bytes of requests and answers, both ways, under `wire.PROTOCOL`."""
        return self._traffic.totals()

    def addresses(self, cluster: Iterable[str]) -> tuple[str, ...]:
        """Where members reach this node in bulk; `cluster` are its addresses on the members' network.

        One that listens on every address is reached wherever the members' network is. A loopback address is
        of use only to members of this machine, so it is told only where that network is on loopback too.
        """
        found: dict[str, None] = {}
        for text in cluster:
            with suppress(BadAddress):
                address = replace(Address.parse(text), port=self.port)
                if (own := _reached_at(self.host, address)) is not None:
                    found[str(own)] = None
        return tuple(found)


def _reached_at(host: str, cluster: Address) -> Address | None:
    """What one address of the members' network says of where a listener on `host` is reached."""
    try:
        ip = ipaddress.ip_address(host or "0.0.0.0")
    except ValueError:
        return replace(cluster, kind="dns", host=host)
    if ip.is_unspecified:
        return cluster
    if ip.is_loopback and not _is_loopback(cluster):
        return None
    return replace(cluster, kind=f"ip{ip.version}", host=str(ip))


def _is_loopback(address: Address) -> bool:
    return address.kind in ("ip4", "ip6") and ipaddress.ip_address(address.host).is_loopback


@asynccontextmanager
async def open_bulk(
    source: ServedBlockSource, identity: Identity, settings: BulkSettings, guard: Guard
) -> AsyncIterator[Bulk]:
    """Give blocks of `source` to members, and fetch from them, for the length of the block.

    Nothing is given and no member is asked until `admit`. Raises BulkPortInUse.
    """
    refusals, traffic = Refusals(), Traffic()
    tls = MemberTls(Authority(settings.secret, settings.cluster_id), identity)
    async with AsyncExitStack() as stack:
        sockets = stack.enter_context(listening(settings.host, settings.port))
        tasks = await stack.enter_async_context(open_guarded_tasks(guard, "bulk between members"))
        members = BulkMembers(identity.peer_id, tls.client, refusals, settings.limits.down, guard, traffic)
        exchange = BulkExchange(members)
        early = EarlyFetches(exchange, tasks)
        served = BulkServer(source, refusals, early.on_offer, settings.limits.up, traffic)
        http = web.Server(
            served.answer, handler_cancellation=True, keepalive_timeout=_IDLE_SECONDS, access_log=None
        )
        arrivals = Arrivals(tls.server, http, tasks, refusals)
        await stack.enter_async_context(background(tls.keep_valid(), *map(arrivals.accept, sockets)))
        listener = settings.host, int(sockets[0].getsockname()[1])
        try:
            offers = Offers(members, tasks)
            yield Bulk(listener, exchange, early, offers, served, arrivals, refusals, traffic)
        finally:
            await members.close()
            arrivals.close()
            await http.shutdown(timeout=1.0)
