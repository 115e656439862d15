"""The other members that offer blocks in bulk: one client each, for as long as it is a member."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence

from blockstore.common.guard import Guard
from blockstore.common.throttle import Throttle
from node.bulk.client import BulkClient
from node.bulk.refusals import Refusals
from node.traffic import Traffic


class BulkMembers:
    """Made by `open_bulk`."""

    def __init__(
        self,
        own_peer: str,
        context: ssl.SSLContext,
        refusals: Refusals,
        down: Throttle,
        guard: Guard,
        traffic: Traffic,
    ) -> None:
        self._own_peer = own_peer
        self._context = context
        self._refusals = refusals
        self._down = down
        self._guard = guard
        self._traffic = traffic
        self._clients: dict[str, BulkClient] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def set(self, members: Mapping[str, Sequence[str]]) -> None:
        """These offer it, each at its addresses; requests to all others end at once."""
        wanted = {peer: tuple(at) for peer, at in members.items() if at and peer != self._own_peer}
        for peer, client in tuple(self._clients.items()):
            if wanted.get(peer) != client.addresses:
                self._drop(peer)
        for peer in wanted.keys() - self._clients.keys():
            client = self._clients[peer] = self._client(peer, wanted[peer])
            self._tasks[peer] = asyncio.create_task(self._run(client))

    def appeared(self, peer: str) -> None:
        """That member has shown itself on another way."""
        if (client := self._clients.get(peer)) is not None:
            client.appeared()

    def reached(self) -> frozenset[str]:
        """Those that answer."""
        return frozenset(peer for peer, client in self._clients.items() if client.reached)

    def client(self, peer: str) -> BulkClient | None:
        """Where that member is asked; None while it does not answer."""
        client = self._clients.get(peer)
        return client if client is not None and client.reached else None

    async def close(self) -> None:
        """End all requests."""
        for peer in tuple(self._clients):
            self._drop(peer)
        if self._ending:
            await asyncio.wait(self._ending)

    def _client(self, peer: str, addresses: Sequence[str]) -> BulkClient:
        return BulkClient(peer, addresses, self._context, self._refusals, self._down, self._traffic)

    def _drop(self, peer: str) -> None:
        self._clients.pop(peer).fail()
        task = self._tasks.pop(peer)
        task.cancel()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _run(self, client: BulkClient) -> None:
        with self._guard.around("probing a member in bulk", client.peer):
            await client.run()
