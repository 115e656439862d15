"""How a request for a pin fails."""

from __future__ import annotations

from node.errors import NodeError


class UnknownRequest(NodeError):
    """No request of this owner has that id."""

    def __init__(self) -> None:
        super().__init__("no request of yours has this id")


class TooManyOfOneCid(NodeError):
    """An owner has so many requests for one CID that another one is a mistake of its program."""

    def __init__(self, most: int) -> None:
        super().__init__(f"you have {most} requests for this CID already: remove some, or replace one")
