"""What one member says of a key range: most CIDs are `pinned` or `remote` and stand in columns.

A row each would be an object, a map on the wire and its checks for every CID of a pinset.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import count, repeat

from blockstore.cid import CID
from cluster.pin import PinInfo, Progress, Status
from cluster.tracking.status import StatusRow


@dataclass(frozen=True, slots=True)
class PinnedColumns:
    """CIDs in order whose status is `pinned` since then, with what is here; nothing else is to be said."""

    cids: Sequence[bytes] = ()
    since: Sequence[float] = ()
    blocks: Sequence[int] = ()
    sizes: Sequence[int] = ()  # bytes


@dataclass(frozen=True, slots=True)
class RemoteColumns:
    """CIDs in order whose status is `remote` since then; nothing else is to be said."""

    cids: Sequence[bytes] = ()
    since: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class StatusColumns:
    """No CID stands in two of the three. They are all there are up to `until`."""

    pinned: PinnedColumns
    remote: RemoteColumns
    rows: tuple[StatusRow, ...]
    until: bytes

    def every(self, peer: str, name: str) -> Iterator[StatusRow]:
        """All as rows, in order."""
        pinned, remote = self.pinned, self.remote
        plain = merge(
            zip(pinned.cids, repeat(Status.PINNED), count()),
            zip(remote.cids, repeat(Status.REMOTE), count()),
        )
        there = (
            _pinned(pinned, index, peer, name)
            if status is Status.PINNED
            else _remote(remote, index, peer, name)
            for _, status, index in plain
        )
        return merge(there, self.rows, key=lambda row: bytes(row.cid))


def _pinned(columns: PinnedColumns, index: int, peer: str, name: str) -> StatusRow:
    progress = Progress(columns.blocks[index], columns.sizes[index], 0)
    info = PinInfo(peer, name, Status.PINNED, columns.since[index], progress=progress)
    return StatusRow(CID.decode(columns.cids[index]), info)


def _remote(columns: RemoteColumns, index: int, peer: str, name: str) -> StatusRow:
    info = PinInfo(peer, name, Status.REMOTE, columns.since[index])
    return StatusRow(CID.decode(columns.cids[index]), info)
