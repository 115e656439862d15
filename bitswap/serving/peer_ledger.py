"""What one peer wants of us, and what it gets next. Pure; sizes are bytes, keys are multihashes.

A want is looked up in the store by the shell, which brings the size or None:
- there: WANT_BLOCK queues the block; WANT_HAVE queues HAVE, or the block where it is hardly larger (as boxo).
- not there, or too large: DONT_HAVE is queued if asked for; the want stays, and is answered when it arrives.
A cancelled want is forgotten at once, even where its block was queued already.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

from bitswap.message import Presence, WantlistEntry, WantType
from bitswap.serving.peer_want import PeerWant, Stage
from bitswap.serving.response_batch import ResponseBatch
from blockstore.block import MAX_BLOCK_BYTES
from blockstore.cid import CID

BATCH_BYTES = 1024 * 1024
BATCH_ENTRIES = 1024
SMALL_BLOCK = 1024
_FRAME = 16  # bytes on the wire, about, beside the multihash of a presence


class PeerLedger:
    """`max_entries`: wants and presences kept. For its turn in `PeerLedgers`: `served`, bytes given so far;
    `held` and `batches`, those that are not sent yet.
    """

    def __init__(self, peer: str, max_entries: int = 4096) -> None:
        self.peer = peer
        self.max_entries = max_entries
        self.queued_bytes = 0
        self.served = 0
        self.held = 0
        self.batches = 0
        self._wants: dict[bytes, PeerWant] = {}
        self._queue: OrderedDict[bytes, PeerWant] = OrderedDict()
        self._is_sorted = True
        self._presences: OrderedDict[CID, bool] = OrderedDict()

    def __len__(self) -> int:
        return len(self._wants)

    def __repr__(self) -> str:
        queued = f"{len(self._queue)} blocks of {self.queued_bytes} bytes, {len(self._presences)} presences"
        return f"<PeerLedger of {self.peer}: {len(self)} wants; queued {queued}>"

    @property
    def has_work(self) -> bool:
        return bool(self._queue or self._presences)

    def wantlist(self) -> tuple[CID, ...]:
        return tuple(want.cid for want in self._wants.values())

    def wants(self) -> tuple[PeerWant, ...]:
        """What it wants and how far each is; not to be changed."""
        return tuple(self._wants.values())

    def queued(self) -> tuple[CID, ...]:
        """Blocks that it gets next, in that order."""
        return tuple(want.cid for want in self._queue.values())

    def among(self, multihashes: Mapping[bytes, CID]) -> set[bytes]:
        """Those that it wants; costs no more than the shorter of both lists."""
        return self._wants.keys() & multihashes.keys()

    def on_entries(self, entries: Sequence[WantlistEntry], full: bool) -> list[CID]:
        """A wantlist or a change to one; its last word on a block counts. Returns what to look up."""
        last = {entry.cid.multihash: entry for entry in entries}
        if full:
            self._forget(key for key in tuple(self._wants) if key not in last)
        self._forget(key for key, entry in last.items() if entry.cancel)
        new = sorted(
            (entry for entry in last.values() if not entry.cancel), key=lambda entry: -entry.priority
        )
        fresh = [entry.cid for entry in new[: self.max_entries] if self._note(entry)]
        for entry in new[self.max_entries :]:  # too many: these are not even looked up
            if entry.send_dont_have and entry.cid.multihash not in self._wants:
                self._queue_presence(entry.cid, have=False)
        self._shed(len(self._wants) - self.max_entries)
        return [cid for cid in fresh if cid.multihash in self._wants]

    def on_sizes(self, cids: Sequence[CID], sizes: Sequence[int | None]) -> None:
        """What the store says of them: bytes, or None where it has no such block."""
        for cid, size in zip(cids, sizes, strict=True):
            want = self._wants.get(cid.multihash)
            if want is not None and want.stage is Stage.WAITING:
                self._answer(want, size)

    def take(self) -> ResponseBatch:
        """The next batch, at most BATCH_BYTES or one block, beside BATCH_ENTRIES presences.

        So it fits into one message whatever a peer asks for: a block has at most MAX_BLOCK_BYTES, a CID 150.
        """
        presences = [
            self._presences.popitem(last=False) for _ in range(min(len(self._presences), BATCH_ENTRIES))
        ]
        blocks: list[CID] = []
        size = 0
        self._sort()
        while self._queue and len(blocks) < BATCH_ENTRIES:
            want = next(iter(self._queue.values()))
            if blocks and size + want.size > BATCH_BYTES:
                break
            self._unqueue(want, Stage.SENDING)
            blocks.append(want.cid)
            size += want.size
        cost = size + sum(len(cid.multihash) + _FRAME for cid, _ in presences)
        return ResponseBatch(
            self.peer, tuple(blocks), tuple(Presence(*pair) for pair in presences), cost, size
        )

    def still_wanted(self, cids: Iterable[CID]) -> list[CID]:
        """Those that were not cancelled since the batch was taken."""
        return [cid for cid in cids if self._is_sending(cid)]

    def on_sent(self, cids: Iterable[CID]) -> None:
        """These blocks went out: their wants are satisfied."""
        for cid in cids:
            if self._is_sending(cid):
                del self._wants[cid.multihash]

    def on_gone(self, cid: CID) -> None:
        """A block of a batch could not be read or sent."""
        if self._is_sending(cid):
            want = self._wants[cid.multihash]
            want.stage = Stage.WAITING
            self._answer(want, None)

    def _note(self, entry: WantlistEntry) -> bool:
        """Keep the want; whether it has to be looked up."""
        want = self._wants.get(entry.cid.multihash)
        if want is None:
            kept = PeerWant(entry.cid, entry.type, entry.priority, entry.send_dont_have)
            self._wants[entry.cid.multihash] = kept
            return True
        self._is_sorted &= want.priority == entry.priority
        want.priority = entry.priority
        want.send_dont_have |= entry.send_dont_have
        if want.type is WantType.HAVE:
            want.type = entry.type
        return want.stage is Stage.WAITING

    def _answer(self, want: PeerWant, size: int | None) -> None:
        if size is None or size > MAX_BLOCK_BYTES:
            if want.send_dont_have:
                self._queue_presence(want.cid, have=False)
        elif want.type is WantType.BLOCK or size <= SMALL_BLOCK:
            want.stage, want.size = Stage.QUEUED, size
            last = next(reversed(self._queue.values()), want)
            self._is_sorted &= last.priority >= want.priority
            self._queue[want.cid.multihash] = want
            self.queued_bytes += size
            self._presences.pop(want.cid, None)
        else:
            del self._wants[want.cid.multihash]
            self._queue_presence(want.cid, have=True)

    def _sort(self) -> None:
        """The highest priority first, and of one priority what was asked for first."""
        if not self._is_sorted:
            self._queue = OrderedDict(sorted(self._queue.items(), key=lambda item: -item[1].priority))
            self._is_sorted = True

    def _queue_presence(self, cid: CID, *, have: bool) -> None:
        """Queue a presence. A peer that asks but does not read loses the ones above its bound."""
        if len(self._presences) < self.max_entries or cid in self._presences:
            self._presences[cid] = have

    def _forget(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            if (want := self._wants.pop(key, None)) is not None:
                self._presences.pop(want.cid, None)
                if want.stage is Stage.QUEUED:
                    self._unqueue(want, Stage.WAITING)

    def _shed(self, excess: int) -> None:
        """Too many wants: those of lowest priority go, the newest of them first; blocks on their way stay."""
        if excess <= 0:
            return
        newest = [want for want in reversed(self._wants.values()) if want.stage is not Stage.SENDING]
        for want in sorted(newest, key=lambda want: want.priority)[:excess]:
            self._forget([want.cid.multihash])
            if want.send_dont_have:
                self._queue_presence(want.cid, have=False)

    def _unqueue(self, want: PeerWant, stage: Stage) -> None:
        del self._queue[want.cid.multihash]
        self.queued_bytes -= want.size
        want.stage = stage

    def _is_sending(self, cid: CID) -> bool:
        want = self._wants.get(cid.multihash)
        return want is not None and want.stage is Stage.SENDING
