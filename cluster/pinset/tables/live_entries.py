"""What a live entry is counted for, log by log, in the transaction that changes it; and the member quota.

Nothing is counted of what an earlier release wrote, so a member holds what it has written since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LiveEntries:
    """Pins, and bytes of their values; or by how much these change."""

    pins: int = 0
    bytes: int = 0

    def __add__(self, other: LiveEntries) -> LiveEntries:
        return LiveEntries(self.pins + other.pins, self.bytes + other.bytes)


NOTHING_LIVE = LiveEntries()


@dataclass(frozen=True, slots=True)
class MemberQuota:
    """What one member may hold in the pinset; 0: as much as it likes."""

    pins: int = 0
    bytes: int = 0

    def __bool__(self) -> bool:
        return self.pins > 0 or self.bytes > 0

    def forbids(self, held: LiveEntries, change: LiveEntries) -> bool:
        """Whether that change would lead above it, or further above it."""
        return (0 < self.pins < held.pins + change.pins and change.pins > 0) or (
            0 < self.bytes < held.bytes + change.bytes and change.bytes > 0
        )


NO_QUOTA = MemberQuota()


class OverQuota(Exception):
    """These authors would hold more than they may: nothing of the transaction was kept."""

    def __init__(self, authors: frozenset[str]) -> None:
        super().__init__(", ".join(sorted(authors)))
        self.authors = authors


class EntryCounter:
    """Counts what changed documents gain and lose, by Yjs client id."""

    def __init__(self) -> None:
        self._pins: Counter[int] = Counter()
        self._bytes: Counter[int] = Counter()

    def changed(self, before: Mapping[int, bytes], after: Mapping[int, bytes]) -> None:
        """The entries of one CID: client id -> value."""
        for client, value in before.items():
            self._pins[client] -= 1
            self._bytes[client] -= len(value)
        for client, value in after.items():
            self._pins[client] += 1
            self._bytes[client] += len(value)

    def result(self) -> Mapping[int, LiveEntries]:
        return {
            client: LiveEntries(pins, self._bytes[client])
            for client, pins in self._pins.items()
            if pins or self._bytes[client]
        }


class LiveTable:
    """What is on disk of this, in memory: some bytes a log."""

    def __init__(self) -> None:
        self._entries: dict[int, LiveEntries] = {}

    def after(self, changes: Mapping[int, LiveEntries]) -> Mapping[int, LiveEntries]:
        """What those clients will have; never less than nothing, though an earlier release wrote some."""
        sums = {
            client: self._entries.get(client, NOTHING_LIVE) + change for client, change in changes.items()
        }
        return {client: LiveEntries(max(now.pins, 0), max(now.bytes, 0)) for client, now in sums.items()}

    def put(self, entries: Mapping[int, LiveEntries]) -> None:
        """They have that now."""
        self._entries.update(entries)

    def of(self, clients: Iterable[int]) -> LiveEntries:
        return sum_live(self._entries, clients)


def sum_live(entries: Mapping[int, LiveEntries], clients: Iterable[int]) -> LiveEntries:
    """Of these clients together."""
    return sum((entries.get(client, NOTHING_LIVE) for client in clients), NOTHING_LIVE)
