"""How a request for a pin fails."""

from __future__ import annotations

from node.errors import NodeError


class UnknownRequest(NodeError):
    """No request of this owner has that id."""

    def __init__(self) -> None:
        super().__init__("no request of yours has this id")
