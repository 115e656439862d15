"""A Bitswap session: fetches for one DAG, which learn together which peers have it."""

from __future__ import annotations

from collections.abc import Sequence

from bitswap.fetching.fetcher import Fetcher
from bitswap.fetching.session_peers import SessionPeers
from blockstore.block import Block
from blockstore.cid import CID
from blockstore.fetch_progress import FetchProgress


class BitswapSession:
    """Satisfies `blockstore.blocks.Exchange`: peers that had blocks of the DAG are asked first for others."""

    def __init__(self, fetcher: Fetcher, root: CID) -> None:
        self._fetcher = fetcher
        self._peers = SessionPeers(root)

    def __repr__(self) -> str:
        return f"<BitswapSession {self._peers}>"

    async def fetch(
        self, cid: CID, hints: Sequence[str] = (), progress: FetchProgress | None = None
    ) -> Block:
        """See `Exchange.fetch`."""
        return await self._fetcher.fetch(self._peers, cid, hints, progress)

    def session(self, root: CID) -> BitswapSession:
        return BitswapSession(self._fetcher, root)
