"""Serves what others need to catch up: heads of logs, batches, member records."""

from __future__ import annotations

from collections.abc import Callable

from cluster.common import wire
from cluster.common.methods import BATCHES, HEADS, MEMBERS
from cluster.members.record import GRANT, MAX_RECORDS
from cluster.replication.context import ReplicationContext
from cluster.replication.heads import MAX_HEADS, Heads, LogExtent, decode_logs

PAGE_BYTES = 1024 * 1024
MAX_WANTS = 256
"""Logs asked for in one call."""

MAX_SHOWN = 3 * 1024 * 1024
"""Bytes of member records in one call."""

_MAX_RECORDS_BYTES = 4 * 1024 * 1024  # read in one call; older versions show up to the limit of a call


class CatchUpServer:
    """Batches carry their author's signature: any member can serve them."""

    def __init__(self, context: ReplicationContext, on_difference: Callable[[str], None]) -> None:
        """`on_difference` is told of members that have other batches than we, as far as they show that."""
        self._context = context
        self._on_difference = on_difference
        self._store = context.store
        self._members = context.members
        self.opening = context.local.chance.randbytes(16)
        context.gate.serve(HEADS, self._heads)
        context.gate.serve(BATCHES, self._batches)
        context.gate.serve(MEMBERS, self._records)

    async def _heads(self, peer: str, request: bytes) -> bytes:
        fields = wire.Fields.decode(request, 1024)
        self._compare(peer, fields.data("have", 32, b""), shown=bool(fields.integer("ask", 0)))
        known = fields.data("store", 32) == self.opening
        since = fields.integer("since") if known else 0
        heads = await self._store.heads(since, MAX_HEADS)
        answer = Heads(
            store=self.opening,
            until=heads[-1].arrival if heads else since,
            more=len(heads) == MAX_HEADS,
            logs=tuple((head.log, head.sequence) for head in heads),
            all_heads=self._context.replica.heads_digest(),
            members=self._members.digest(),
            now=self._context.now(),
            forks=tuple(self._context.replica.forks.items()),
            extents={head.log: LogExtent(head.begin, head.hash) for head in heads},
        )
        return bytes(answer)

    def _compare(self, peer: str, heads_digest: bytes, *, shown: bool) -> None:
        """`shown`: that member wants us to ask back where it has something else than we."""
        context = self._context
        if heads_digest == context.replica.heads_digest():
            context.progress.equals(peer, context.replica.heads(), context.now())
        elif shown:
            self._on_difference(peer)

    async def _batches(self, peer: str, request: bytes) -> bytes:
        fields = wire.Fields.decode(request, 256 * 1024)
        wants = decode_logs(fields, "wants", MAX_WANTS)
        if not fields.integer("ahead", 0):  # else that member still applies what came before
            self._context.progress.has(peer, wants, self._context.now())
        envelopes = await self._store.batches(wants, PAGE_BYTES)
        return wire.encode({"batches": [*envelopes]})

    async def _records(self, peer: str, request: bytes) -> bytes:
        # Records prove themselves, so any peer may show them; only a member, perhaps just now, is shown ours.
        await self._members.accept(read_records(request), vouched=self._members.is_trusted(peer))
        if self._members.removal(peer) is not None:  # it was away, and is to hear it once
            return wire.encode({"records": [*self._members.records_of(peer, GRANT)]})
        self._context.check_member(peer)
        return wire.encode({"records": [*self._members.records(MAX_SHOWN)]})


def read_records(data: bytes) -> tuple[bytes, ...]:
    """The envelopes of member records in a call. Raises BadUpdate."""
    return wire.Fields.decode(data, _MAX_RECORDS_BYTES).datas("records", MAX_RECORDS)
