"""Blocks that come one by one are stored many at a time: what comes while one group is stored is the next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from blockstore.block import Block
from blockstore.common.group_commit import GroupCommit
from blockstore.errors import StorageFull

_MOST = 256  # blocks of a group

Put = Callable[[Sequence[Block]], Awaitable[None]]
"""Stores all of them or none. Raises StorageFull."""


class GroupedPuts:
    """`put` is called for one group at a time; where one does not fit, its blocks are put one by one."""

    def __init__(self, put: Put) -> None:
        self._put = put
        self._groups: GroupCommit[Block, None] = GroupCommit(self._put_group, id, _MOST)

    async def put(self, block: Block) -> None:
        """It is stored when this returns. Raises StorageFull. Cancelling does not take it back."""
        await self._groups.ask(block)

    async def _put_group(self, group: Sequence[Block]) -> Sequence[Exception | None]:
        try:
            await self._put(group)
        except StorageFull:
            return [await self._alone(block) for block in group]
        return [None] * len(group)

    async def _alone(self, block: Block) -> StorageFull | None:
        try:
            await self._put([block])
        except StorageFull as error:
            return error
        return None
