"""One peer as our wants see it: what it was asked, how it answers, and what it is sent next."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from bitswap.fetching.credit import Credit
from bitswap.fetching.tempo import Tempo
from bitswap.message import WantlistEntry, WantType

if TYPE_CHECKING:
    # Each knows the other; neither needs the other to exist first.
    from bitswap.fetching.want import Ask, Want

MAX_ASKS = 1000  # answers awaited at once: a Kubo peer keeps 1024 wants of ours
MAX_IN_FLIGHT = 32 * 1024 * 1024  # bytes of blocks asked for and not yet here
_FIRST_GUESS = 256 * 1024  # bytes a block, until the peer has sent some
_REMEMBERED = 1024
_REORDERED = 64  # blocks asked for later that may come before one that is on its way
_STEP = 4  # each time that a peer stays silent, so many times more of its blocks are asked of others too


class PeerState:
    """Times are the loop's seconds, sizes are bytes."""

    __slots__ = (
        "asks",
        "awaited",
        "blocks_in_flight",
        "connected",
        "connected_at",
        "credit",
        "heard_at",
        "known_wants",
        "name",
        "newest",
        "number",
        "outbox",
        "reminded_at",
        "size",
        "stalled_at",
        "stalls",
        "tempo",
        "wired",
        "withdrawn",
    )

    def __init__(self, name: str, credit: Credit | None = None) -> None:
        self.name = name
        self.connected = False
        self.connected_at = float("-inf")
        self.credit = credit or Credit()
        self.tempo = Tempo()
        self.known_wants: dict[bytes, Want] = {}
        """Wants that it knows of, or will when the outbox is sent; by multihash, as all here."""
        self.wired: set[bytes] = set()
        """Those of them that went out: they need a CANCEL in the end."""
        self.outbox: dict[bytes, WantlistEntry] = {}
        """What to send next; a newer entry for one block replaces the older."""
        self.withdrawn: OrderedDict[bytes, None] = OrderedDict()
        """Withdrawn wants that it may still answer: such a block is a duplicate, not an attack."""
        self.asks = 0
        self.blocks_in_flight = 0
        self.size: float = _FIRST_GUESS
        self.heard_at = float("-inf")
        self.reminded_at = float("-inf")
        self.awaited: dict[bytes, Ask] = {}
        """Blocks that it was asked for and is in time with, oldest first."""
        self.number = 0
        """Of the last block that it was asked for, in order; and of the newest that it has sent."""
        self.newest = 0
        self.stalls = 0
        self.stalled_at = float("-inf")

    def __repr__(self) -> str:
        state = "connected" if self.connected else "not connected"
        counts = f"{self.asks} asks, {len(self.outbox)} to send, {self.credit.failures} failures"
        return f"<PeerState {self.name} {state}: {counts}>"

    @property
    def has_room(self) -> bool:
        """Whether it may be asked for one more block."""
        return self.asks < MAX_ASKS and self.blocks_in_flight * self.size < MAX_IN_FLIGHT

    def load(self, odds: float, now: float, *, urgent: bool) -> tuple[int, bool, float]:
        """For comparing: debtors last, then the time we would wait, in blocks that may come in vain.

        What is `urgent` has been waited for in vain already: no time to try those that never sent anything.
        """
        debt = self.credit.failures if self.credit.owes(now) else 0
        return debt, urgent and not self.credit.proven, (self.blocks_in_flight + 1) / odds

    def on_connect(self, now: float) -> None:
        self.connected, self.connected_at = True, now

    def on_late(self, want: Want, now: float) -> None:
        """It is late with the block: others are asked too."""
        del self.awaited[want.key]
        self.credit.on_failure(now)

    def on_blocks(self, now: float) -> None:
        """A message with blocks that it was asked for came."""
        oldest = next(iter(self.awaited.values()), None)
        self.tempo.on_blocks(oldest.at if oldest is not None else now, now)
        self.heard_at = now
        self.stalls = 0

    def on_block(self, ask: Ask | None, size: int, now: float) -> None:
        """One of its blocks. It counts as kept even where it is late."""
        self.credit.on_block()
        self.size += (size - self.size) / 8
        if ask is not None:
            self.newest = max(self.newest, ask.number)
            if ask.alone:
                self.tempo.on_answer(now - ask.at)

    def late(self, now: float) -> list[bytes]:
        """Blocks to ask others for too: those passed over; else, while it is silent, more and more of all.

        A few at first: a peer on a slow line may be sending them right now. Each silence is reported once.
        """
        patience = self.tempo.patience
        passed = takewhile(lambda pair: self._passed_over(pair[1], now - patience), self.awaited.items())
        if (keys := [key for key, _ in passed]) or not self._is_silent(now - patience):
            return keys
        self.stalls += 1
        self.stalled_at = now
        return list(islice(self.awaited, _STEP ** (self.stalls - 1)))

    def _passed_over(self, ask: Ask, since: float) -> bool:
        return ask.number + _REORDERED < self.newest and ask.at <= since

    def _is_silent(self, since: float) -> bool:
        oldest = next(iter(self.awaited.values()), None)
        if oldest is None or not self.connected:
            return False
        return max(oldest.at, self.tempo.delivered_at, self.stalled_at, self.connected_at) <= since

    def forgotten(self, patience: float, now: float) -> list[tuple[Want, Ask]]:
        """What it was asked that long ago, if it has answered nothing since: again as its silence doubles."""
        silent_since = max(self.heard_at, self.connected_at)
        told_after = max(self.reminded_at - silent_since, patience / 2)
        if now < silent_since + 2 * told_after:
            return []
        asks = [
            (want, want.asked[self.name]) for want in self.known_wants.values() if self.name in want.asked
        ]
        return [(want, ask) for want, ask in asks if ask.at <= now - patience and want.key in self.wired]

    def on_ask(self, want: Want, ask: Ask) -> None:
        """It is asked for the block, or whether it has it."""
        self.asks += 1
        if ask.type is WantType.BLOCK:
            self.number += 1
            ask.number, ask.alone = self.number, not self.awaited
            self.blocks_in_flight += 1
            self.awaited[want.key] = ask

    def on_ask_over(self, want: Want, ask: Ask) -> None:
        """Answered, or given up."""
        self.asks -= 1
        if ask.type is WantType.BLOCK:
            self.blocks_in_flight -= 1
            self.awaited.pop(want.key, None)

    def queue(self, want: Want, entry: WantlistEntry) -> None:
        self.known_wants[want.key] = want
        self.outbox[want.key] = entry
        self.withdrawn.pop(want.key, None)

    def withdraw(self, want: Want) -> None:
        """We want it no more: a CANCEL if the want went out, silence if it did not."""
        self.known_wants.pop(want.key, None)
        if want.key not in self.wired:
            self.outbox.pop(want.key, None)
            return
        self.outbox[want.key] = WantlistEntry(want.cid, cancel=True)
        self.withdrawn[want.key] = None
        if len(self.withdrawn) > _REMEMBERED:
            self.withdrawn.popitem(last=False)

    def settle(self, want: Want) -> None:
        """It has sent the block, and with that has struck the want from its own list."""
        self.known_wants.pop(want.key, None)
        self.wired.discard(want.key)
        self.outbox.pop(want.key, None)

    def take(self, limit: int) -> tuple[WantlistEntry, ...]:
        """The next entries to send, oldest first."""
        keys = list(self.outbox)[:limit]
        entries = tuple(self.outbox.pop(key) for key in keys)
        for key, entry in zip(keys, entries, strict=True):
            (self.wired.discard if entry.cancel else self.wired.add)(key)
        return entries
