"""One peer as our wants see it: what it was asked, how it answers, and what it must be told next."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from bitswap.message import Entry

if TYPE_CHECKING:
    from bitswap.want import Want  # each knows the other; neither needs the other to exist first

MAX_ASKS = 1000  # answers awaited at once: a Kubo peer keeps 1024 wants of ours
MAX_IN_FLIGHT = 32 * 1024 * 1024  # bytes of blocks asked for and not yet here
_FIRST_GUESS = 256 * 1024  # bytes a block, until the peer has sent some
_REMEMBERED = 1024
_MAX_FAILURES = 8


class Remote:
    """Times are the loop's seconds, sizes are bytes."""

    __slots__ = (
        "asks",
        "blocks_in_flight",
        "connected",
        "failed_at",
        "failures",
        "heard_at",
        "name",
        "outbox",
        "size",
        "told",
        "wired",
        "withdrawn",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.connected = False
        self.told: dict[bytes, Want] = {}
        """Wants that it knows of, or will when the outbox is sent; by multihash, as everything here."""
        self.wired: set[bytes] = set()
        """Those of them that went out: they need a CANCEL in the end."""
        self.outbox: dict[bytes, Entry] = {}
        """What to send next; a newer entry for one block replaces the older."""
        self.withdrawn: OrderedDict[bytes, None] = OrderedDict()
        """Withdrawn wants that it may still answer: such a block is a duplicate, not an attack."""
        self.asks = 0
        self.blocks_in_flight = 0
        self.size: float = _FIRST_GUESS
        self.heard_at = 0.0
        self.failures = 0
        self.failed_at = float("-inf")

    def __repr__(self) -> str:
        state = "connected" if self.connected else "not connected"
        counts = f"{self.asks} asks, {len(self.outbox)} to send, {self.failures} failures"
        return f"<Remote {self.name} {state}: {counts}>"

    @property
    def has_room(self) -> bool:
        """Whether it may be asked for one more block."""
        return self.asks < MAX_ASKS and self.blocks_in_flight * self.size < MAX_IN_FLIGHT

    def load(self, odds: float) -> tuple[int, float]:
        """For comparing: failures first, then the time we would wait, in blocks that may come in vain."""
        return self.failures, (self.blocks_in_flight + 1) / odds

    def on_block(self, size: int, now: float) -> None:
        self.heard_at = now
        self.failures //= 2
        self.size += (size - self.size) / 8

    def on_failure(self, now: float) -> None:
        """It did not answer in time. Several wants that run out at once are one failure."""
        if now - self.failed_at > 1:
            self.failures = min(self.failures + 1, _MAX_FAILURES)
            self.failed_at = now

    def tell(self, want: Want, entry: Entry) -> None:
        self.told[want.key] = want
        self.outbox[want.key] = entry
        self.withdrawn.pop(want.key, None)

    def withdraw(self, want: Want) -> None:
        """We want it no more: a CANCEL if the want went out, silence if it did not."""
        self.told.pop(want.key, None)
        if want.key not in self.wired:
            self.outbox.pop(want.key, None)
            return
        self.outbox[want.key] = Entry(want.cid, cancel=True)
        self.withdrawn[want.key] = None
        if len(self.withdrawn) > _REMEMBERED:
            self.withdrawn.popitem(last=False)

    def settle(self, want: Want) -> None:
        """It has sent the block, and with that has struck the want from its own list."""
        self.told.pop(want.key, None)
        self.wired.discard(want.key)
        self.outbox.pop(want.key, None)

    def take(self, most: int) -> tuple[Entry, ...]:
        """The next entries to send, oldest first."""
        keys = list(self.outbox)[:most]
        entries = tuple(self.outbox.pop(key) for key in keys)
        for key, entry in zip(keys, entries, strict=True):
            (self.wired.discard if entry.cancel else self.wired.add)(key)
        return entries
