"""What this node knows without asking a peer: members that hold a pin, this node, and connected peers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace

from blockstore.cid import CID
from node.routing.router import Provider

BITSWAP = ("transport-bitswap",)
"""What members speak on the open network."""

Holding = Callable[[CID], Awaitable[Sequence[str]]]
"""Peer ids that have that block, or are to have it: this node, and members by the pinset."""

Addresses = Callable[[str], Sequence[str]]
"""Where a peer is on the open network, as it last said itself; with `/p2p/` or without, empty if unknown."""


class MemberRouter:
    """Satisfies Router. A peer without an address on the open network provides nothing to it."""

    def __init__(self, holding: Holding, addresses: Addresses) -> None:
        self._holding = holding
        self._addresses = addresses

    async def providers(self, cid: CID) -> AsyncGenerator[Provider]:
        """See `Router.providers`."""
        for peer in dict.fromkeys(await self._holding(cid)):
            if (provider := self._located(peer)) is not None:
                yield replace(provider, protocols=BITSWAP)

    async def peer(self, peer: str) -> Provider | None:
        """See `Router.peer`."""
        return self._located(peer)

    async def provide(self, cid: CID) -> None:
        """Nothing to do: what this node has is looked up when it is asked for."""

    def _located(self, peer: str) -> Provider | None:
        places = [address.removesuffix(f"/p2p/{peer}") for address in self._addresses(peer)]
        return Provider(peer, tuple(dict.fromkeys(places))) if places else None
