"""The seam: who provides content, and where a peer is. That for records of names is `RecordRoute`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from blockstore.cid import CID
from node.errors import NodeError

MAX_PROVIDERS = 1000
"""Of one CID that a router gives at most."""


class NotProvided(NodeError):
    """No peer took the news that this node has that content; says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A peer, as the text of its id, and where it can be dialled: multiaddresses without `/p2p/` at the end.

    They are hints of strangers, of any transport; none is no error. `protocols` are those by which it gives
    content, by their names in Delegated Routing V1; none: nothing is known of that.
    """

    peer: str
    addresses: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()


class Router(Protocol):
    """Who has content, and where peers are (libp2p: content routing, peer routing)."""

    def providers(self, cid: CID) -> AsyncGenerator[Provider]:
        """Peers that are said to have that block, each once, as they are heard of; MAX_PROVIDERS at most.

        By multihash: another codec of the same bytes has the same providers. It ends by itself in bounded
        time, and closing it withdraws what is under way. None, or no peer to ask, is no error.
        """
        ...

    async def peer(self, peer: str) -> Provider | None:
        """Where that peer is; None where no peer knows. Ends in bounded time."""
        ...

    async def provide(self, cid: CID) -> None:
        """Tell the peers that keep such news that this node has that block; returns when enough have it.

        A router that knows by itself what this node has returns at once. Raises NotProvided.
        """
        ...
