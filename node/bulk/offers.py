"""What is being added here, offered to the members that are to hold it, while the add goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from blockstore.cid import CID
from blockstore.common.tasks import GuardedTasks
from node.bulk.client import BulkClient, BulkFailed
from node.bulk.members import BulkMembers
from node.bulk.wire import MAX_WANTS, fits

_WAITING = 32 * 1024  # CIDs for one member; what is above them the pin brings


class Offers:
    """One request at a time to each member; what comes meanwhile goes with the next."""

    def __init__(self, members: BulkMembers, tasks: GuardedTasks) -> None:
        self._members = members
        self._tasks = tasks
        self._waiting: dict[str, deque[CID]] = {}  # for those that are being told

    def offer(self, cids: Sequence[CID]) -> None:
        """Tell all members that are reached. Returns at once; what cannot be told the pin brings."""
        for peer in self._members.reached():
            if (client := self._members.client(peer)) is not None:
                self._add(client, cids)

    def _add(self, client: BulkClient, cids: Sequence[CID]) -> None:
        waiting = self._waiting.get(client.peer)
        if waiting is None:
            waiting = self._waiting[client.peer] = deque()
            self._tasks.spawn(self._tell(client, waiting))
        waiting += [cid for cid in cids if fits(cid)][: _WAITING - len(waiting)]

    async def _tell(self, client: BulkClient, waiting: deque[CID]) -> None:
        try:
            while waiting:
                await client.offer([waiting.popleft() for _ in range(min(MAX_WANTS, len(waiting)))])
        except BulkFailed:
            waiting.clear()  # the pin brings what was not told
        finally:
            del self._waiting[client.peer]
