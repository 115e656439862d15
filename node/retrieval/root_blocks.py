"""Blocks for one request: from the local store, else from members that hold the pin, else from any peer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from blockstore.block import Block
from blockstore.blocks import Blocks
from blockstore.cid import CID
from blockstore.fetch_progress import FetchesInFlight
from blockstore.read_budget import ReadBudget
from cluster.cluster import Cluster
from cluster.errors import BadUpdate, NotPinned
from node.retrieval.read_cache import Read

Holders = Callable[[CID], Awaitable[Sequence[str]]]
"""Peer ids of the members that are to hold that root; empty when it is not pinned."""

_REMEMBERED = 16


def holders_in(cluster: Cluster) -> Holders:
    """Members that are to hold a root, by the pinset; not this node, which has been asked already."""

    async def holders(root: CID) -> Sequence[str]:
        try:
            pin = await cluster.get_pin(root)
        except (NotPinned, BadUpdate):  # or its row is damaged: every peer is asked
            return ()
        return sorted(cluster.holders.of(pin))

    return holders


async def no_holders(root: CID) -> Sequence[str]:
    """The holders of a root where nothing is fetched."""
    return ()


class RootBlocks:
    """A BlockSource for one root. Who holds it is looked up once, and only when a block is missing here.

    The last few blocks that were asked for one by one are remembered: resolving a path, looking at its end
    and reading it begin with the same nodes.
    """

    def __init__(
        self,
        blocks: Blocks,
        root: CID,
        holders: Holders,
        read: Read | None = None,
        in_flight: FetchesInFlight | None = None,
    ) -> None:
        """`read`: what is here, where that is not read from the store of `blocks` itself.

        `in_flight`: where it is to be seen what is being fetched.
        """
        self._blocks = blocks
        self._read = read or blocks.store.get_many
        self._root = root
        self._holders = holders
        self._in_flight = in_flight
        self._session: Blocks | None = None
        self._recent: dict[CID, Block] = {}

    @property
    def read_budget(self) -> ReadBudget:
        return self._blocks.read_budget

    async def get(self, cid: CID) -> Block:
        """Raises BlockNotFound."""
        block = self._recent.get(cid)
        if block is None:
            (block,) = await self.get_many([cid])
            self._remember(block)
        return block

    async def get_many(self, cids: Sequence[CID]) -> list[Block]:
        """What is here is read once, and only what is missing is asked for. Raises BlockNotFound."""
        found = await self._read(cids)
        missing = [cid for cid, block in zip(cids, found, strict=True) if block is None]
        fetched = await (await self._remote()).fetch_many(missing) if missing else {}
        return [block or fetched[cid] for cid, block in zip(cids, found, strict=True)]

    async def _remote(self) -> Blocks:
        if self._session is None:
            holders = await self._holders(self._root)
            self._session = self._blocks.session(self._root, holders, self._in_flight)
        return self._session

    def _remember(self, block: Block) -> None:
        self._recent[block.cid] = block
        if len(self._recent) > _REMEMBERED:
            del self._recent[next(iter(self._recent))]
