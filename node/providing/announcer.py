"""Tells the servers of one DHT what this node has: one name, or all names of a region with one look-up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from node.providing.figures import ProvideFigures
from node.providing.region import COPIES, SPACE, Region, by_key, covered
from node.routing.kad.client import KadClient
from node.routing.kad.keys import kad_key
from node.routing.router import NotProvided, Provider

_MOST_LOOKUPS = 8  # of one region; two or three are usual
_AT_ONCE = 10  # servers

Names = Mapping[int, bytes]
"""Multihashes by their keys."""


class Announcer:
    """Over one client; counts in `figures`."""

    def __init__(self, client: KadClient) -> None:
        self.client = client
        self.figures = ProvideFigures()

    @property
    def ready(self) -> bool:
        """Whether a server is known, and this node has an address to tell it."""
        return bool(len(self.client.table) and self.client.network.us.addresses)

    async def one(self, multihash: bytes) -> None:
        """Raises NotProvided where no server could be told."""
        self.figures.lookups += 1
        self.figures.busy += 1
        try:
            told = await self.client.provide(multihash)
        except NotProvided:
            self.figures.failed += 1
            raise
        finally:
            self.figures.busy -= 1
        self.figures.names += 1
        self.figures.records += told

    async def explore(self, multihash: bytes) -> Region:
        """The region around the key of that name, with all keepers of every name in it.

        A look-up finds COPIES servers, and with them all of a prefix in which there may be fewer. Its other
        half is looked up as well: the two together hold enough. Where all of the network is smaller than
        that, it is the region; without servers where too few answered to know.
        """
        key, nearest = kad_key(multihash), await self._nearest(multihash)
        servers = by_key(nearest)
        if len(nearest) < COPIES:
            whole = len(self.client.table) <= len(nearest)
            return Region(0, SPACE, servers if whole else {})
        half = covered(key, nearest)
        left, lookups = [half.sibling], 1
        while left and lookups < _MOST_LOOKUPS:
            prefix, lookups = left.pop(), lookups + 1
            name = prefix.some_name()
            nearest = await self._nearest(name)
            servers |= by_key(nearest)
            left += prefix.without(covered(kad_key(name), nearest)) if nearest else []
        return Region(half.parent.low, half.parent.high, servers)

    async def _nearest(self, name: bytes) -> list[Provider]:
        self.figures.lookups += 1
        return await self.client.closest(name)

    async def tell(self, region: Region, names: Names) -> None:
        """Tell these names of that region to their keepers."""
        slots, told = asyncio.Semaphore(_AT_ONCE), set[int]()

        async def tell(server: int, keys: Iterable[int]) -> None:
            messages = [self.client.provider_record(names[key]) for key in keys]
            async with slots:
                if await self.client.tell([region.servers[server]], messages):
                    told.update(keys)
                    self.figures.reached += 1
                    self.figures.records += len(messages)

        shares = region.shares(names)
        self.figures.busy += len(names)
        try:
            await asyncio.gather(*(tell(server, keys) for server, keys in shares.items()))
        finally:
            self.figures.busy -= len(names)
        self.figures.servers += len(shares)
        self.figures.names += len(told)
        self.figures.failed += len(names) - len(told)

    async def tell_all(self, names: Names) -> None:
        """Any names, region by region."""
        left = dict(sorted(names.items()))
        while left:
            region = await self.explore(left[next(iter(left))])
            here = {key: name for key, name in left.items() if region.low <= key < region.high}
            await self.tell(region, here)
            for key in here:
                del left[key]
