"""How batches and member records travel: gossip in and out, what came too early, and whom to ask.

Gossip makes it fast: every batch is published once it is durable. Catching up makes it right: on every new
connection, on every gap, and from time to time, a member is asked for what it has and we lack. Nothing
depends on a message arriving, on order, or on a clock.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from blockstore.common.guard import Guard
from cluster.common import wire
from cluster.common.genesis import Genesis
from cluster.common.hybrid_clock import TOLERANCE, seconds
from cluster.common.loops import steadily
from cluster.errors import BadUpdate, UntrustedPeer
from cluster.members.member_list import MemberList
from cluster.pinset.batch import AuthorLog, SignedBatch, read, verify
from cluster.pinset.replica import PinWrite, Replica, Verdict, Written
from cluster.pinset.store import PinsetStore
from cluster.ports import CallFailed, Gossip, GossipMessage, PeerCalls, PeerOffline, Signer
from cluster.replication.anti_entropy import AntiEntropy
from cluster.replication.catchup import CatchUp
from cluster.replication.handler_gate import HandlerGate
from cluster.replication.holdback import HoldbackQueue

MAX_GOSSIP_BYTES = 400 * 1024
"""Larger batches are announced and pulled."""

SYNC_INTERVAL = 30.0  # seconds between asking one member, without any occasion
COMPARE_INTERVAL = 600.0  # seconds between comparing documents with a member whose log equals ours
_OUTBOX = 256
_TOLD_RECORDS = 64  # member records that are new at once and told on
_BATCH, _HEAD, _RECORDS = 1, 2, 3  # first byte of a gossip message
_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class ReplicationCounts:
    """Since this node opened its pinset."""

    written: int = 0
    applied: int = 0
    refused: int = 0  # forged or malformed
    untrusted: int = 0  # by somebody who may not write, as far as is known here
    repaired: int = 0  # documents made again


class PinsetGossip:
    """Moves what the ledger writes to other members, and what they write to the ledger."""

    def __init__(
        self,
        store: PinsetStore,
        genesis: Genesis,
        signer: Signer,
        gossip: Gossip,
        calls: PeerCalls,
        members: MemberList,
        ledger: Replica,
        visits: HandlerGate,
        now: Callable[[], float],
        guard: Guard,
        chance: Random,
    ) -> None:
        self.counts = ReplicationCounts()
        self.held = HoldbackQueue()
        self._genesis = genesis
        self._signer = signer
        self._gossip = gossip
        self._calls = calls
        self._members = members
        self._ledger = ledger
        self._now = now
        self._guard = guard
        self._chance = chance
        self._topic = topic_of(genesis)
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue(_OUTBOX)
        self._to_ask: asyncio.Queue[str] = asyncio.Queue()
        self._asking: set[str] = set()
        self._compared: dict[str, float] = {}
        self._skews: dict[str, float] = {}
        self._catchup = CatchUp(store, ledger, members, calls, self._take, visits, now)
        self._repair = AntiEntropy(genesis, ledger, members, calls, visits)
        gossip.subscribe(self._topic, visits.message(self._on_gossip))
        calls.on_peer_change(self._on_peer_change)
        members.on_records(self._on_records)

    async def write(self, operations: Sequence[PinWrite]) -> Written:
        """Make these durable, then have them published."""
        written = await self._ledger.write(operations)
        if written.batch is not None:
            self.counts.written += 1
            self._publish(_batch_message(written.batch))
        return written

    async def sync(self, peer: str) -> None:
        """Bring all that this member has and we lack. Raises CallFailed, PeerOffline, BadUpdate."""
        heads = await self._catchup.pull(peer)
        self._note_clock(peer, heads.now - self._now())
        if heads.all_heads == self._ledger.heads_digest() and self._comparison_is_due(peer):
            await self.repair(peer)

    async def repair(self, peer: str) -> frozenset[int]:
        """Compare documents with a member whose log equals ours; those that differed were made again."""
        differing = await self._repair.repair(peer)
        self._compared[peer] = asyncio.get_running_loop().time()
        self.counts.repaired += len(differing)
        if differing:
            _logger.warning("%d documents differed from those of %s: made again", len(differing), peer)
        return differing

    def clock_skews(self) -> Mapping[str, float]:
        """Members whose clocks are more than TOLERANCE off from ours: seconds they are ahead."""
        return dict(self._skews)

    def ask(self, peer: str) -> None:
        """Catch up with that member soon."""
        if peer not in self._asking and self._members.is_member(peer) and peer != self._signer.peer_id:
            self._asking.add(peer)
            self._to_ask.put_nowait(peer)

    async def publishing(self) -> None:
        """A loop: sends what waits in the outbox."""
        await steadily(self._guard, "telling what changed", "all members", self._publish_next)

    async def _publish_next(self) -> None:
        await self._gossip.publish(self._topic, await self._outbox.get())

    async def asking(self) -> None:
        """A loop: catches up with whom `ask` named, one after another."""
        await steadily(self._guard, "catching up", "members", self._ask_next)

    async def _ask_next(self) -> None:
        peer = await self._to_ask.get()
        self._asking.discard(peer)
        with self._guard.around("catching up", peer):
            try:
                await self.sync(peer)
            except (CallFailed, PeerOffline, BadUpdate) as error:
                _logger.info("cannot catch up with %s now: %s", peer, error)
            except OSError as error:  # a full disk: replication goes on when there is room again
                _logger.warning("what %s has cannot be kept now: %s", peer, error)

    async def wandering(self) -> None:
        """A loop: names some connected member now and then, in case every occasion was missed."""
        for peer in sorted(self._calls.peers()):
            self.ask(peer)
        await steadily(self._guard, "choosing a member to catch up with", "members", self._wander)

    async def _wander(self) -> None:
        await asyncio.sleep(SYNC_INTERVAL * self._chance.uniform(0.75, 1.25))
        connected = [peer for peer in self._calls.peers() if self._members.is_member(peer)]
        if connected:
            self.ask(self._chance.choice(sorted(connected)))

    def _publish(self, message: bytes) -> None:
        try:
            self._outbox.put_nowait(message)
        except asyncio.QueueFull:
            _logger.info("more gossip than the network takes: members will catch up instead")

    async def _on_gossip(self, message: GossipMessage) -> None:
        """Its author answers for it; what it shows that we lack is asked of the one that handed it on."""
        with self._guard.around("gossip of the pinset", message.author):
            await self._hear(message)

    async def _hear(self, message: GossipMessage) -> None:
        try:
            await self._read_gossip(message.forwarder, message.data)
        except UntrustedPeer as error:
            self.counts.untrusted += 1
            _logger.warning("a message from %s is dropped: %s", message.author, error)
            self.ask(message.forwarder)  # it may know of a new member of which we have not heard
        except BadUpdate as error:
            self.counts.refused += 1
            _logger.warning("a message from %s is dropped: %s", message.author, error)
        except OSError as error:  # a full disk: catching up brings it again when there is room
            _logger.warning("a message from %s cannot be kept now: %s", message.author, error)

    async def _read_gossip(self, forwarder: str, message: bytes) -> None:
        kind, body = message[:1], message[1:]
        if kind == bytes([_BATCH]):
            if not self._members.is_member(self._signer.peer_id):
                return  # not let in, though it knows the secret; who is let in catches up first
            signed = self._check(body)
            self._note_clock(signed.batch.log.author, seconds(signed.batch.stamp) - self._now(), behind=False)
            await self._admit([signed])
            if signed.batch.sequence > self._ledger.head(signed.batch.log):
                self.ask(forwarder)
        elif kind == bytes([_HEAD]):
            self._hear_head(forwarder, wire.Fields.decode(body, 1024))
        elif kind == bytes([_RECORDS]):
            records = wire.Fields.decode(body, MAX_GOSSIP_BYTES).datas("records", 256)
            await self._members.accept(records, vouched=False)
        else:
            raise BadUpdate("gossip of an unknown kind")

    def _hear_head(self, forwarder: str, fields: wire.Fields) -> None:
        log = AuthorLog(fields.text("author", limit=128), fields.integer("epoch"))
        if fields.integer("seq") > self._ledger.head(log):
            self.ask(forwarder)

    def _check(self, envelope: bytes) -> SignedBatch:
        """A batch that may be applied on its author's word. Raises BadUpdate, UntrustedPeer."""
        author = read(envelope).log.author
        if not self._members.is_trusted(author):
            raise UntrustedPeer(f"{author} is not trusted to write pins")
        return verify(envelope, self._genesis.cluster_id, self._signer)

    async def _take(self, envelopes: Sequence[bytes], peer: str) -> int:
        """Apply pulled batches. A trusted member vouches for authors that are not trusted (any more)."""
        vouched = self._members.is_trusted(peer)
        usable = [e for e in envelopes if vouched or self._members.is_trusted(read(e).log.author)]
        return await self._admit([verify(e, self._genesis.cluster_id, self._signer) for e in usable])

    async def _admit(self, batches: Sequence[SignedBatch]) -> int:
        """Apply, hold what is early, and apply what was held for these; how many were applied."""
        applied = 0
        tried: list[SignedBatch] = []  # in vain, since something was last applied
        while batches:
            verdicts = await self._ledger.admit(batches)
            for signed, verdict in zip(batches, verdicts, strict=True):
                if verdict is Verdict.EARLY:
                    self.held.keep(signed)
                else:
                    self.held.drop(signed)
            progress = verdicts.count(Verdict.APPLIED)
            applied += progress
            self.counts.refused += verdicts.count(Verdict.REFUSED)
            tried = [] if progress else [*tried, *batches]
            # Others apply batches between our turns: what is held may be ready though nothing was applied.
            batches = [signed for signed in self.held.ready(self._ledger.head) if signed not in tried]
        self.counts.applied += applied
        return applied

    def _on_peer_change(self, peer: str, connected: bool) -> None:
        if connected:
            self.ask(peer)

    def _on_records(self, records: Sequence[bytes]) -> None:
        if len(records) <= _TOLD_RECORDS:  # more than that came by catching up, as others do
            for part in _chunks(records, MAX_GOSSIP_BYTES // 2):
                self._publish(bytes([_RECORDS]) + wire.encode({"records": [*part]}))
        for peer in sorted(self._calls.peers()):
            self.ask(peer)

    def _comparison_is_due(self, peer: str) -> bool:
        last = self._compared.get(peer)
        return last is None or asyncio.get_running_loop().time() - last >= COMPARE_INTERVAL

    def _note_clock(self, peer: str, ahead: float, *, behind: bool = True) -> None:
        """Warn once when a member's clock is off; `behind` when the figure can also show that it is slow."""
        if ahead > TOLERANCE or (behind and ahead < -TOLERANCE):
            if peer not in self._skews:
                way = "ahead of" if ahead > 0 else "behind"
                _logger.warning(
                    "the clock of %s is %.1f hours %s ours: set both by NTP. No pin is lost, but where two"
                    " members pin one CID at the same moment, the later clock's options win",
                    peer,
                    abs(ahead) / 3600,
                    way,
                )
            self._skews[peer] = ahead
        elif behind:
            self._skews.pop(peer, None)


def topic_of(genesis: Genesis) -> str:
    """The gossip topic of that cluster's pinset."""
    return f"pinfold/pinset/{genesis.cluster_id.hex()}"


def _batch_message(signed: SignedBatch) -> bytes:
    if len(signed.envelope) <= MAX_GOSSIP_BYTES:
        return bytes([_BATCH]) + signed.envelope
    log = signed.batch.log
    head = {"author": log.author, "epoch": log.epoch, "seq": signed.batch.sequence}
    return bytes([_HEAD]) + wire.encode(head)


def _chunks(records: Iterable[bytes], limit: int) -> Iterable[list[bytes]]:
    """Records in groups of at most 256, each of about `limit` bytes at most."""
    part: list[bytes] = []
    for record in records:
        if part and (sum(map(len, part)) + len(record) > limit or len(part) == 256):
            yield part
            part = []
        part.append(record)
    if part:
        yield part
