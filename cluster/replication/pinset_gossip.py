"""Gossip of the pinset: what is new here goes out once it is durable, and what others say comes in.

Gossip makes replication fast; it may lose everything, and the sync loop still makes it right.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from cluster.common.hybrid_clock import seconds
from cluster.common.loops import steadily
from cluster.errors import BadUpdate, UntrustedPeer
from cluster.pinset.changes import PinWrite, Written
from cluster.ports import Gossip, GossipMessage
from cluster.replication.admission import Admission
from cluster.replication.context import ReplicationContext
from cluster.replication.fair_backlog import FairBacklog, GossipedBatch
from cluster.replication.gossip_message import (
    AnnouncedHead,
    BatchEnvelopes,
    RecordEnvelopes,
    batch_message,
    read_message,
    records_messages,
    topic_of,
)
from cluster.replication.gossip_outbox import GossipOutbox
from cluster.replication.sync_loop import SyncLoop

TOGETHER = 1024
"""Documents changed by gossip in one transaction: a tenth of a second, for which our own writing may wait."""

_GOSSIPED_RECORDS = 64  # member records that are new at once and passed on
_log = logging.getLogger(__name__)


class PinsetGossip:
    """The outbox, and the handler of the topic."""

    def __init__(
        self, context: ReplicationContext, gossip: Gossip, admission: Admission, sync: SyncLoop
    ) -> None:
        self._context = context
        self._gossip = gossip
        self._admission = admission
        self._sync = sync
        self._topic = topic_of(context.local.genesis)
        self._outbox = GossipOutbox(self._publish)
        self._backlog = FairBacklog()
        context.gate.subscribe(self._topic, self._on_gossip)
        context.members.on_records(self._on_records)

    async def write(self, writes: Sequence[PinWrite]) -> Written:
        """Make these durable, then have them published."""
        written = await self._context.replica.write(writes)
        if written.batch is not None:
            self._context.counts.written += 1
            self._outbox.put(batch_message(written.batch))
        return written

    async def run(self) -> None:
        """Publishes what waits in the outbox."""
        publish = self._outbox.publish_next
        await steadily(self._context.guard, "publishing what changed", "all members", publish)

    async def flush(self) -> None:
        """Publish now what waits: nothing more is written."""
        await self._outbox.flush()

    async def run_admission(self) -> None:
        """Applies what came; what comes meanwhile is the next transaction."""
        await steadily(self._context.guard, "applying gossip", "all members", self._admit_next)

    async def _admit_next(self) -> None:
        taken = await self._backlog.take(TOGETHER)
        try:
            await self._admission.admit([one.signed for one in taken])
        except OSError as error:  # a full disk: catching up brings it again when there is room
            _log.warning("what other members wrote cannot be kept now: %s", error)
            return
        for one in taken:
            if one.signed.batch.sequence > self._context.replica.head(one.signed.batch.log):
                self._sync.ask(one.forwarder)

    async def _publish(self, message: bytes) -> None:
        await self._gossip.publish(self._topic, message)

    def _on_records(self, envelopes: Sequence[bytes]) -> None:
        if len(envelopes) <= _GOSSIPED_RECORDS:  # more than that came by catching up, as others do
            for message in records_messages(envelopes):
                self._outbox.put(message)
        self._sync.ask_all()

    async def _on_gossip(self, message: GossipMessage) -> None:
        """Its author answers for it; what it shows that we lack is asked of the one that handed it on."""
        with self._context.guard.around("gossip of the pinset", message.author):
            try:
                await self._accept(message)
            except UntrustedPeer as error:
                self._context.counts.untrusted += 1
                _log.warning("a message from %s is dropped: %s", message.author, error)
                self._sync.ask(message.forwarder)  # it may know of a new member of which we have not heard
            except BadUpdate as error:
                self._context.counts.refused += 1
                _log.warning("a message from %s is dropped: %s", message.author, error)
            except OSError as error:  # a full disk: catching up brings it again when there is room
                _log.warning("a message from %s cannot be kept now: %s", message.author, error)

    async def _accept(self, message: GossipMessage) -> None:
        match read_message(message.data):
            case BatchEnvelopes(envelopes):
                time_slice = self._context.local.slices()
                for envelope in envelopes:
                    self._accept_batch(envelope, message.forwarder)
                    await time_slice.yield_if_due()
            case AnnouncedHead(log, sequence):
                if sequence > self._context.replica.head(log):
                    self._sync.ask(message.forwarder)
            case RecordEnvelopes(envelopes):
                await self._context.members.accept(envelopes, vouched=False)

    def _accept_batch(self, envelope: bytes, forwarder: str) -> None:
        context = self._context
        if not context.members.is_member(context.local.peer):
            return  # not let in, though it knows the secret; who is let in catches up first
        signed = self._admission.gossiped(envelope)
        author, stamp = signed.batch.log.author, signed.batch.stamp
        context.skews.observe_stamp(author, seconds(stamp) - context.now())
        if context.pauses.holds_back(signed.batch.log):
            return  # it is pulled when its author holds less
        if not self._backlog.put(GossipedBatch(signed, forwarder)):
            self._sync.ask(forwarder)
