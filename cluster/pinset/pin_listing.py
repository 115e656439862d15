"""Pins listed page by page, out of the rows alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace

from blockstore.cid import CID
from cluster.common.pin_codec import decode_pin
from cluster.errors import BadUpdate
from cluster.interfaces import PinOrder, PinPage, PinQuery
from cluster.pin import Pin
from cluster.pinset.tables.list_place import ListPlace
from cluster.pinset.tables.schema import REMEDY
from cluster.pinset.tables.sql_listing import RowPage
from cluster.pinset.tables.store import PinsetStore, is_meant

_FIRST = 128  # rows: the first page is to be there soon
_PAGE_BYTES = 1024 * 1024


class PinListing:
    """At most `page_size` pins at once, fewer where they are large."""

    def __init__(self, store: PinsetStore, page_size: int) -> None:
        self._store = store
        self._page_size = page_size

    async def rows(self, query: PinQuery) -> AsyncGenerator[RowPage]:
        """All that match, as they are stored; pages may be empty. Raises BadUpdate, NotReady.

        No transaction is held while the caller works.
        """
        place: ListPlace | None = None
        limit = min(_FIRST, self._page_size)
        while True:
            page = await self._store.page(query, place, limit)
            _check_order(page, place)
            yield page
            place, limit = page.place, self._next_limit(page, limit)
            if place is None:
                return

    async def pins(self, query: PinQuery) -> AsyncIterator[Pin]:
        """Also raises BadUpdate for a row that cannot be read, once all the others were given.

        So such a row hides no other, and its CID is not taken for one that is not pinned.
        """
        odd: list[BadUpdate] = []
        async for page in self.rows(replace(query, order=query.order or PinOrder.CID)):
            for row in page.rows:
                pin = read_row(*row)
                if isinstance(pin, Pin):
                    yield pin
                else:
                    odd.append(pin)
        for error in odd:
            raise error

    async def page(self, query: PinQuery, cursor: str | None, limit: int) -> PinPage:
        page = await self.row_page(query, cursor, limit)
        found = [read_row(*row) for row in page.rows]
        return PinPage(
            tuple(pin for pin in found if isinstance(pin, Pin)),
            page.place.cursor(query) if page.place else None,
            tuple(error for error in found if isinstance(error, BadUpdate)),
        )

    async def row_page(self, query: PinQuery, cursor: str | None, limit: int) -> RowPage:
        """One page as it is stored. Raises BadCursor, NotReady."""
        place = ListPlace.read(cursor, query) if cursor else None
        page = await self._store.page(query, place, limit)
        _check_order(page, place)
        return page

    async def named(self, cids: Sequence[CID], query: PinQuery) -> list[tuple[bytes, bytes]]:
        """Those of these that are pinned and match, as they are stored."""
        keys = [bytes(cid) for cid in cids]
        values = await self._store.values(keys)
        rows = [(key, value) for key, value in zip(keys, values, strict=True) if value is not None]
        return [row for row in rows if is_meant(row, query)]

    def _next_limit(self, page: RowPage, limit: int) -> int:
        size = sum(len(value) for _, value in page.rows)
        if not size:
            return self._page_size
        return max(1, min(self._page_size, 4 * limit, len(page.rows) * _PAGE_BYTES // size))


def read_row(cid: bytes, value: bytes) -> Pin | BadUpdate:
    try:
        return decode_pin(value).pin(CID.decode(cid))
    except (BadUpdate, ValueError) as error:
        return BadUpdate(f"the pin of {cid.hex()} cannot be read here: {error}")


def _check_order(page: RowPage, before: ListPlace | None) -> None:
    """Going on behind a place that is not behind the last one would never end."""
    if before is None or page.place is None or page.place.is_behind(before):
        return
    raise BadUpdate(f"the list of pins is damaged, and not in order: {REMEDY} (cluster.db)")
