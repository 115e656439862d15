"""Look-ups in the DNS: by the system's resolver or a given one, or none at all."""

from __future__ import annotations

import asyncio

from node.names.dns import DnsServer, TextLookup, Texts
from node.names.errors import DnsFailure


class NoLookups:
    """The DNS of a node that asks no server."""

    async def __call__(self, name: str) -> Texts:
        raise DnsFailure(f"{name} is not looked up: this node runs offline and has no names.resolver set")


class Lookups:
    """Real look-ups; `server` None is the system's. The library comes with the first one."""

    def __init__(self, server: DnsServer | None, timeout: float) -> None:
        self._server = server
        self._timeout = timeout
        self._resolver: TextLookup | None = None

    async def __call__(self, name: str) -> Texts:
        if self._resolver is None:
            self._resolver = await asyncio.to_thread(self._load)
        return await self._resolver(name)

    def _load(self) -> TextLookup:
        # Late: dnspython loads all it finds (QUIC, trio): 0.2 s and 9 MB that many nodes never need.
        from node.names.resolver import Resolver

        return Resolver(self._server, self._timeout)
