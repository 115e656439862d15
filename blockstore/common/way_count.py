"""What came by one of several ways."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class WayCount:
    """Blocks that were used, and their bytes, since the start."""

    blocks: int = 0
    bytes: int = 0

    def add(self, blocks: int, size: int) -> None:
        self.blocks += blocks
        self.bytes += size
