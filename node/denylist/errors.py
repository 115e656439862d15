"""What the denylists forbid, and what is wrong with them."""

from __future__ import annotations

from blockstore.errors import BlockNotFound
from node.errors import NodeError


class ContentBlocked(BlockNotFound):
    """Content that the operator's denylists forbid to serve or to fetch. HTTP status 410.

    Walks treat such a block as one that cannot be had; `cid` is the CID or path.
    """

    def __init__(self, what: object) -> None:
        super().__init__(what, f"{what} is blocked and cannot be provided")

    def __str__(self) -> str:
        return self.reason


class LegallyBlocked(ContentBlocked):
    """The same for a legal reason (hint `gateway_status=451`). HTTP status 451."""


class BadRule(ValueError):
    """A line of a denylist that is no rule we know."""


class BadDenylist(NodeError):
    """A denylist that cannot be read; nothing is served in its stead."""
