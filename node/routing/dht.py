"""The DHTs that this node takes part in, the public one and that of local networks, as one router."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence

from blockstore.cid import CID
from blockstore.common.guard import Guard
from cluster.common.peer_id import multihash_of
from cluster.errors import BadAddress
from node.names.errors import NotPublished
from node.names.ipns_record import IpnsRecord
from node.names.name import IpnsName
from node.routing.joined_router import JoinedRouter
from node.routing.kad.client import KadClient
from node.routing.kad.streams import KadKind
from node.routing.router import NotProvided, Provider

_ALONE = "no server of the DHT is known: connect this node to a peer that is one (swarm.peers)"


class KadRouter:
    """Satisfies Router and RecordRoute, over one DHT."""

    def __init__(self, client: KadClient, kind: KadKind) -> None:
        self.client = client
        self.kind = kind

    def providers(self, cid: CID) -> AsyncGenerator[Provider]:
        """See `Router.providers`."""
        return self.client.providers(cid.multihash)

    async def peer(self, peer: str) -> Provider | None:
        """See `Router.peer`."""
        try:
            return await self.client.peer(peer, multihash_of(peer))
        except BadAddress:
            return None

    async def provide(self, cid: CID) -> None:
        """See `Router.provide`."""
        if not self.client.network.us.addresses:
            raise NotProvided(
                f"the {self.kind.name} was not told: this node has no address that belongs there"
            )
        await self.client.provide(cid.multihash)

    async def find(self, name: IpnsName) -> Sequence[IpnsRecord]:
        """See `NameRouting.find`."""
        return await self.client.find(name)

    async def publish(self, name: IpnsName, record: IpnsRecord) -> None:
        """See `RecordOutlet.publish`."""
        await self.client.publish(name, record)


class Dht:
    """Satisfies Router and RecordRoute: both DHTs are asked, and what one of them took was told."""

    def __init__(self, parts: Sequence[KadRouter], guard: Guard) -> None:
        self.parts = tuple(parts)
        self._joined = JoinedRouter(parts, guard)

    def providers(self, cid: CID) -> AsyncGenerator[Provider]:
        """See `Router.providers`."""
        return self._joined.providers(cid)

    async def peer(self, peer: str) -> Provider | None:
        """See `Router.peer`."""
        return await self._joined.peer(peer)

    async def provide(self, cid: CID) -> None:
        """To each DHT of which a server is known. Raises NotProvided where none could be told."""
        refusals = await asyncio.gather(*(_refusal(part.provide(cid)) for part in self.in_use()))
        if all(refusals):
            raise NotProvided("; ".join(refusals) or _ALONE)

    async def find(self, name: IpnsName) -> Sequence[IpnsRecord]:
        """See `NameRouting.find`."""
        found = await asyncio.gather(*(part.find(name) for part in self.in_use()))
        return [record for records in found for record in records]

    async def publish(self, name: IpnsName, record: IpnsRecord) -> None:
        """See `RecordOutlet.publish`."""
        refusals = await asyncio.gather(*(_refusal(part.publish(name, record)) for part in self.in_use()))
        if all(refusals):
            raise NotPublished("; ".join(refusals) or _ALONE)

    def in_use(self) -> list[KadRouter]:
        """The DHTs of which a server is known."""
        return [part for part in self.parts if len(part.client.table)]


async def _refusal(work: Awaitable[None]) -> str:
    """Why that could not be told; empty when it was."""
    try:
        await work
    except (NotProvided, NotPublished) as error:
        return str(error)
    return ""
