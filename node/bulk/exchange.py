"""The fetching half: lists of blocks asked of the members that are to have them, one after the other."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing

from blockstore import hashing
from blockstore.block import Block
from blockstore.cid import CID
from blockstore.common.way_count import WayCount
from blockstore.errors import HashMismatch
from node.bulk.answer_buffer import AnswerBuffer, buffered
from node.bulk.client import BulkClient
from node.bulk.flights import Flights
from node.bulk.members import BulkMembers
from node.bulk.wire import MAX_WANTS, fits

_ASKED = 4  # members that are asked for one list; the rest is for other exchanges
_TOTAL_BYTES = 32 * 1024 * 1024  # that all requests together hold
_HELD_BYTES = (1024 * 1024, 4 * 1024 * 1024)  # of one of them, at least and at most
_INLINE_BYTES = 32 * 1024  # hashed on the loop: a thread would cost more


class BulkExchange:
    """Satisfies `blockstore.blocks.GroupSource`. Only members that answer are asked."""

    def __init__(self, members: BulkMembers) -> None:
        self.members = members
        self.flights = Flights()
        self.came = WayCount()
        self._running = 0

    def session(self, root: CID) -> BulkSession:
        return BulkSession(self)

    async def fetch_groups(self, cids: Sequence[CID], hints: Sequence[str]) -> AsyncGenerator[list[Block]]:
        """See `GroupSource.fetch_groups`."""
        async with aclosing(BulkSession(self).fetch_groups(cids, hints)) as groups:
            async for group in groups:
                yield group

    async def early(self, cids: Sequence[CID], peer: str) -> AsyncGenerator[list[Block]]:
        """Those of them that this member gives, though other requests may be for the same."""
        if (client := self.members.client(peer)) is not None:
            async with aclosing(self.request(client, cids, [])) as groups:
                async for group in groups:
                    yield group

    async def request(
        self, client: BulkClient, cids: Sequence[CID], lacking: list[CID]
    ) -> AsyncGenerator[list[Block]]:
        """Blocks that this member gives, verified; what it does not is added to `lacking`."""
        self._running += 1
        least, most = _HELD_BYTES
        limit = max(least, min(most, _TOTAL_BYTES // self._running))
        try:
            async with (
                buffered(client.blocks(cids), limit) as answers,
                aclosing(_verified(client, answers, cids, lacking)) as groups,
            ):
                async for group in groups:
                    self.came.add(len(group), sum(len(block.data) for block in group))
                    yield group
        finally:
            self._running -= 1


class BulkSession:
    """Satisfies GroupSource, for one DAG: the member that gave blocks of it is asked first for others."""

    def __init__(self, exchange: BulkExchange) -> None:
        self._exchange = exchange
        self._worth: dict[str, int] = {}  # of a member: 1 it gave blocks, -1 it had none of those asked for
        self._asking: Counter[str] = Counter()  # lists that a member is asked for just now

    def session(self, root: CID) -> BulkSession:
        return self._exchange.session(root)

    async def fetch_groups(self, cids: Sequence[CID], hints: Sequence[str]) -> AsyncGenerator[list[Block]]:
        """See `GroupSource.fetch_groups`. What is under way already is waited for, and left out."""
        flights = self._exchange.flights
        wanted = [cid for cid in dict.fromkeys(cids) if fits(cid) and hashing.is_known(cid.multihash)]
        flying = [cid for cid in wanted if cid in flights]
        left = [cid for cid in wanted if cid not in flights]
        for client in self._clients(hints) if left else ():
            lacking: list[CID] = []
            self._asking[client.peer] += 1
            try:
                for start in range(0, len(left), MAX_WANTS):
                    part = left[start : start + MAX_WANTS]
                    async with aclosing(self._exchange.request(client, part, lacking)) as groups:
                        async for group in groups:
                            yield group
            finally:
                self._asking[client.peer] -= 1
            self._worth[client.peer] = 1 if len(lacking) < len(left) else -1
            left = lacking
            if not left:
                break
        await flights.until_landed(flying)

    def _clients(self, hints: Iterable[str]) -> list[BulkClient]:
        """Whom to ask, in that order: lists that are asked for at the same time go to several members."""
        found = [client for peer in dict.fromkeys(hints) if (client := self._exchange.members.client(peer))]
        found.sort(key=self._order)
        return found[:_ASKED]

    def _order(self, client: BulkClient) -> tuple[bool, int, int]:
        """Those without any block last; then the least busy for this DAG, and who has given some."""
        worth = self._worth.get(client.peer, 0)
        return worth < 0, self._asking[client.peer], -worth


async def _verified(
    client: BulkClient, answers: AnswerBuffer, cids: Sequence[CID], lacking: list[CID]
) -> AsyncGenerator[list[Block]]:
    position = 0
    while taken := await answers.take():
        asked = cids[position : position + len(taken)]
        position += len(taken)
        lacking += (cid for cid, data in zip(asked, taken, strict=True) if data is None)
        pairs = [(cid, data) for cid, data in zip(asked, taken, strict=True) if data is not None]
        try:
            blocks = await _hashed(pairs, client.peer)
        except HashMismatch as error:
            client.distrust(error)
            lacking += (cid for cid, _ in pairs)
            break
        if blocks:
            yield blocks
    lacking += cids[position:]


async def _hashed(pairs: Sequence[tuple[CID, bytes]], source: str) -> list[Block]:
    """Raises HashMismatch."""
    if sum(len(data) for _, data in pairs) <= _INLINE_BYTES:
        return _verify(pairs, source)
    return await asyncio.to_thread(_verify, pairs, source)


def _verify(pairs: Sequence[tuple[CID, bytes]], source: str) -> list[Block]:
    return [Block.verify(cid, data, source) for cid, data in pairs]
