"""Asks one DHT: who is nearest to a key, who provides a block, where a peer is, which record a name has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from cluster.common.peer_id import multihash_of
from node.names.errors import BadRecord, NotPublished
from node.names.ipns_record import IpnsRecord, verify
from node.names.name import IpnsName
from node.routing.kad.keys import kad_key
from node.routing.kad.lookup import Lookup, LookupRules
from node.routing.kad.message import KadMessage, KadRecord, KadType
from node.routing.kad.network import KadNetwork, NoAnswer
from node.routing.kad.routing_table import RoutingTable
from node.routing.kad.walk import Answer, walk
from node.routing.router import MAX_PROVIDERS, NotProvided, Provider

_LOOKUPS = 16  # at once
_TOLD_AT_ONCE = 10  # peers
_OF_ONE = 100  # providers that one server is believed
_RECORDS = 16  # of a name that are enough to compare
_FIND_SECONDS = 20.0  # for the records of a name


class KadClient:
    """Over one `network`, with the servers of `table`. `now`: seconds since 1970."""

    def __init__(self, network: KadNetwork, table: RoutingTable, now: Callable[[], float]) -> None:
        self.network = network
        self.table = table
        self._now = now
        self._slots = asyncio.Semaphore(_LOOKUPS)

    async def closest(self, name: bytes, rules: LookupRules | None = None) -> list[Provider]:
        """The servers nearest to the key of that name, nearest first; each has answered."""
        lookup = self._lookup(name, rules)
        async with aclosing(self._answers(lookup, KadMessage(KadType.FIND_NODE, name))) as answers:
            async for _ in answers:
                continue
        return lookup.nearest()

    async def greet(self, peer: Provider) -> bool:
        """Ask that peer for servers near to this node; whether it is one, and so in the table now."""
        if not self.network.accepts(peer):
            return False
        request = KadMessage(KadType.FIND_NODE, multihash_of(self.network.us.peer))
        try:
            await self.network.ask(peer, request)
        except NoAnswer:
            return False
        return self.table.heard(peer, asyncio.get_running_loop().time())

    async def providers(self, multihash: bytes) -> AsyncGenerator[Provider]:
        """See `Router.providers`."""
        given: set[str] = set()
        request = KadMessage(KadType.GET_PROVIDERS, multihash)
        async with aclosing(self._answers(self._lookup(multihash), request)) as answers:
            async for message in answers:
                for provider in message.providers[:_OF_ONE]:
                    if provider.peer not in given and len(given) < MAX_PROVIDERS:
                        given.add(provider.peer)
                        yield provider

    async def peer(self, peer: str, multihash: bytes) -> Provider | None:
        """Where that peer is, by the first server that knows an address."""
        request = KadMessage(KadType.FIND_NODE, multihash)
        async with aclosing(self._answers(self._lookup(multihash), request)) as answers:
            async for message in answers:
                for named in message.closer:
                    if named.peer == peer and named.addresses:
                        return named
        return None

    async def provide(self, multihash: bytes) -> int:
        """Tell the nearest servers that this node has that block; how many were told. Raises NotProvided."""
        servers = await self.closest(multihash)
        told = await self.tell(servers, [self.provider_record(multihash)])
        if not told:
            raise NotProvided(f"none of {len(servers)} DHT servers could be told; is this node connected?")
        return told

    def provider_record(self, multihash: bytes) -> KadMessage:
        """The news that this node has that block."""
        return KadMessage(KadType.ADD_PROVIDER, multihash, providers=(self.network.us,))

    async def tell(self, servers: Sequence[Provider], messages: Sequence[KadMessage]) -> int:
        """Send each of them all of these; how many took them."""
        slots = asyncio.Semaphore(_TOLD_AT_ONCE)

        async def tell(server: Provider) -> bool:
            async with slots:
                try:
                    await self.network.tell(server, messages)
                except NoAnswer:
                    self.table.failed(server.peer)
                    return False
                return True

        return sum(await asyncio.gather(*map(tell, servers)))

    async def find(self, name: IpnsName) -> Sequence[IpnsRecord]:
        """See `NameRouting.find`: the newest valid record that servers have, none where none has one."""
        key, found = record_key(name), list[IpnsRecord]()
        async with aclosing(self._answers(self._lookup(key), KadMessage(KadType.GET_VALUE, key))) as answers:
            try:
                async with asyncio.timeout(_FIND_SECONDS):
                    async for message in answers:
                        found += self._verified(name, message)
                        if len(found) >= _RECORDS:
                            break
            except TimeoutError:
                pass  # what was found by then is the answer
        return [max(found, key=lambda one: one.order)] if found else []

    async def publish(self, name: IpnsName, record: IpnsRecord) -> int:
        """Give the record to the servers nearest to its name; how many took it. Raises NotPublished."""
        key = record_key(name)
        servers = await self.closest(key)
        request = KadMessage(KadType.PUT_VALUE, key, KadRecord(key, record.raw))
        took = sum(await asyncio.gather(*(self._put(server, request) for server in servers)))
        if not took:
            raise NotPublished(f"none of {len(servers)} DHT servers took the record of {name}")
        return took

    async def _put(self, server: Provider, request: KadMessage) -> bool:
        try:
            answer = await self.network.ask(server, request)
        except NoAnswer:
            return False
        return answer.record is not None and answer.record == request.record

    def _verified(self, name: IpnsName, message: KadMessage) -> list[IpnsRecord]:
        """The record in an answer where it is good; a server may send anything."""
        try:
            return [verify(name, message.record.value, self._now())] if message.record else []
        except BadRecord:
            return []

    def _lookup(self, name: bytes, rules: LookupRules | None = None) -> Lookup:
        target = kad_key(name)
        return Lookup(target, self.table.nearest(target), self.network.accepts, rules)

    async def _answers(self, lookup: Lookup, request: KadMessage) -> AsyncGenerator[KadMessage]:
        async with self._slots, aclosing(walk(self.network, lookup, request)) as answers:
            async for answer in answers:
                self._note(answer)
                if answer.message is not None:
                    yield answer.message

    def _note(self, answer: Answer) -> None:
        if answer.message is None:
            self.table.failed(answer.peer.peer)
        else:
            self.table.heard(answer.peer, asyncio.get_running_loop().time())


def record_key(name: IpnsName) -> bytes:
    """The key of a name's record (IPNS record specification, "Routing")."""
    return b"/ipns/" + name.multihash
