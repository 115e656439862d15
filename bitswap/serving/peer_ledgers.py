"""A fair queue (start-time fair queuing, by bytes) of the peers that we serve: whose turn it is. Pure.

Turns are fair by bytes: the peer that was given the least goes next, and one that was idle starts level with
the others. Memory is bounded: a peer holds unsent batches of at most `bytes_per_peer` and of a quarter of
what is free, so that many slow readers shrink each other's share, never a fast reader's to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bitswap.message import WantlistEntry
from bitswap.serving.peer_ledger import PeerLedger
from bitswap.serving.peer_pace import PeerPace
from bitswap.serving.response_batch import ResponseBatch
from blockstore.cid import CID

MOST_WANTS = 4096
_MIN_WANTS = 64  # that a peer may always have
_MAX_BATCHES = 4  # of one peer at once


@dataclass(frozen=True, slots=True)
class LedgerBounds:
    """`wants` kept for one peer and for all of them; `bytes` of unsent batches likewise.

    `rate`: bytes a second that one peer is given; 0 is no limit. `friends` have neither that nor a smaller
    number of wants than by default.
    """

    wants_per_peer: int = MOST_WANTS
    wants: int = 131_072
    bytes_per_peer: int = 4 * 1024 * 1024
    bytes: int = 32 * 1024 * 1024
    rate: int = 0
    friends: frozenset[str] = frozenset()


class PeerLedgers:
    def __init__(self, bounds: LedgerBounds | None = None) -> None:
        self._bounds = bounds or LedgerBounds()
        self._ledgers: dict[str, PeerLedger] = {}
        self._ready: dict[str, PeerLedger] = {}
        self._pace = PeerPace(self._bounds.rate, self._bounds.friends)
        self._level = 0
        self._held = 0

    def __repr__(self) -> str:
        ready, unsent = len(self._ready), self._held
        return f"<PeerLedgers of {len(self._ledgers)} peers, {ready} ready, {unsent} bytes unsent>"

    def __iter__(self) -> Iterator[PeerLedger]:
        return iter(self._ledgers.values())

    def of(self, peer: str) -> PeerLedger | None:
        return self._ledgers.get(peer)

    def on_entries(self, peer: str, entries: Sequence[WantlistEntry], full: bool) -> list[CID]:
        """A wantlist came. Returns what to look up in the store, for `on_sizes`."""
        ledger = self._ledgers.get(peer)
        if ledger is None:
            ledger = self._ledgers[peer] = PeerLedger(peer)
        share = self._bounds.wants // len(self._ledgers)
        ledger.max_entries = max(_MIN_WANTS, min(self._most_wants(peer), share))
        fresh = ledger.on_entries(entries, full)
        self._note(ledger)
        return fresh

    def on_sizes(self, peer: str, cids: Sequence[CID], sizes: Sequence[int | None]) -> None:
        """What the store says of what one peer wants."""
        if (ledger := self._ledgers.get(peer)) is not None:
            ledger.on_sizes(cids, sizes)
            self._note(ledger)

    def awaited(self, cids: Sequence[CID]) -> dict[str, list[CID]]:
        """By peer, those of the CIDs that it wants; for `on_sizes`."""
        keys = {cid.multihash: cid for cid in cids}
        found = ((ledger.peer, ledger.among(keys)) for ledger in self._ledgers.values())
        return {peer: [keys[key] for key in wanted] for peer, wanted in found if wanted}

    def next(self, now: float) -> tuple[PeerLedger, ResponseBatch] | None:
        """What to send next and for which ledger, for `release` later; None when no peer may be served."""
        allowed = min(self._bounds.bytes_per_peer, (self._bounds.bytes - self._held) // 4)
        able = [
            one
            for one in self._ready.values()
            if one.held < allowed and one.batches < _MAX_BATCHES and not self._pace.wait(one.peer, now)
        ]
        if not able:
            return None
        ledger = min(able, key=lambda one: one.served)
        batch = ledger.take()
        self._level = ledger.served
        ledger.served += batch.cost
        self._hold(ledger, batch.cost, 1)
        self._pace.given(ledger.peer, batch.block_bytes, now)
        self._note(ledger)
        return ledger, batch

    def wait(self, now: float) -> float:
        """Seconds until a peer that has work may be given more than the rate lets it have now; 0 for none."""
        waits = (self._pace.wait(peer, now) for peer in self._ready)
        return min(filter(None, waits), default=0.0)

    def release(self, ledger: PeerLedger, batch: ResponseBatch, sent: Sequence[CID] = ()) -> None:
        """The batch is done with; `sent`: its blocks that went out."""
        self._hold(ledger, -batch.cost, -1)
        ledger.on_sent(sent)

    def on_gone(self, ledger: PeerLedger, cids: Sequence[CID]) -> None:
        """Blocks of a batch could not be read or sent: its ledger notes that, and they stay wanted."""
        for cid in cids:
            ledger.on_gone(cid)
        if self._ledgers.get(ledger.peer) is ledger:
            self._note(ledger)

    def on_disconnect(self, peer: str) -> None:
        """The peer is gone, and what it wanted is forgotten."""
        self._ledgers.pop(peer, None)
        self._ready.pop(peer, None)

    def _most_wants(self, peer: str) -> int:
        most = self._bounds.wants_per_peer
        return max(most, MOST_WANTS) if peer in self._bounds.friends else most

    def _hold(self, ledger: PeerLedger, cost: int, batches: int) -> None:
        self._held += cost
        ledger.held += cost
        ledger.batches += batches

    def _note(self, ledger: PeerLedger) -> None:
        """Keeps `_ready` true."""
        if not ledger.has_work:
            self._ready.pop(ledger.peer, None)
        elif ledger.peer not in self._ready:
            ledger.served = max(ledger.served, self._level)
            self._ready[ledger.peer] = ledger
