"""Pins as a node lists them, page after page where only some are wanted."""

from __future__ import annotations

from collections.abc import Iterator

from node.cli.api.client import ApiClient, Query
from node.cli.api.response import ApiResponse

_ROUTE = "/v1/pins"
_PAGE = 10_000


def listed_pins(api: ApiClient, query: Query, limit: int | None = None) -> Iterator[ApiResponse]:
    """Those that match; with a limit only so many. Raises NoDaemon, ApiError."""
    if limit is None:
        yield from api.lines("GET", _ROUTE, query)
        return
    cursor: list[tuple[str, str]] | None = []
    while cursor is not None and limit > 0:
        page = [*query, ("limit", str(min(limit, _PAGE))), *cursor]
        cursor = None
        for line in api.lines("GET", _ROUTE, page):
            if "cid" in line.raw:
                limit -= 1
                yield line
            else:
                cursor = [("cursor", line.text("cursor"))]
