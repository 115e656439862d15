"""Statuses of a member of the release before `pins/columns`: its pages of rows, cut into key ranges."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from blockstore.cid import CID
from cluster.pin import KeyRange
from cluster.tracking.status import StatusPage, StatusRow
from cluster.tracking.status_columns import PinnedColumns, RemoteColumns, StatusColumns

NextPage = Callable[[CID | None], Awaitable[StatusPage]]


class OlderMember:
    """Ranges are asked for in order. It keeps what its pages had beyond the range."""

    def __init__(self, next_page: NextPage) -> None:
        """`next_page` gives the rows behind a CID, as `pins/statuses`."""
        self._next_page = next_page
        self._rows: Sequence[StatusRow] = ()
        self._after: CID | None = None
        self._come = b""  # how far its pages have come

    async def read(self, keys: KeyRange, limit: int) -> StatusColumns:
        """Its rows of the range; after `limit` of them it may end sooner. Raises CallFailed, PeerOffline."""
        while len(self._rows) < limit and self._come < keys.until:
            page = await self._next_page(self._after)
            self._rows = [*self._rows, *(row for row in page.rows if bytes(row.cid) > keys.after)]
            self._after = page.after
            self._come = bytes(page.after) if page.after else KeyRange().until
        until = min(self._come, keys.until)
        rows = tuple(row for row in self._rows if bytes(row.cid) <= until)
        self._rows = self._rows[len(rows) :]
        return StatusColumns(PinnedColumns(), RemoteColumns(), rows, until)
