"""Pulls what this node has missed from one member, and serves the same to others.

Heads first: which logs moved since we last asked (a few bytes a log), then their batches in pages of about a
mebibyte, in the order in which that member applied them, so that each builds on what came before. Whatever is
applied stays, so an interrupted pull goes on where it stopped. Batches carry their author's signature: any
member can serve them.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cluster.common import wire
from cluster.errors import BadUpdate, UntrustedPeer
from cluster.members.member_list import MemberList
from cluster.members.record import GRANT, MAX_RECORDS
from cluster.pinset.batch import MAX_BATCH_BYTES, AuthorLog
from cluster.pinset.replica import Replica
from cluster.pinset.store import PinsetStore
from cluster.ports import CallFailed, PeerCalls, PeerOffline
from cluster.replication.handler_gate import HandlerGate

HEADS, BATCHES, MEMBERS = "pinset/heads", "pinset/batches", "pinset/members"
PAGE_BYTES = 1024 * 1024
_MAX_ANSWER = PAGE_BYTES + MAX_BATCH_BYTES + 64 * 1024
MAX_SHOWN = 3 * 1024 * 1024
"""Bytes of member records in one call."""
_MAX_HEADS = 4096
_MAX_WANTS = 256
PATIENCE = 45.0
"""Seconds that one member may take without giving anything new: the others wait for their turn."""
_MAX_RECORDS_BYTES = 4 * 1024 * 1024  # read in one call; older versions show up to the limit of a call
_logger = logging.getLogger(__name__)

Receive = Callable[[Sequence[bytes], str], Awaitable[int]]
"""(envelopes, the member that sent them) -> how many were applied."""


@dataclass(frozen=True, slots=True)
class Heads:
    """One member's answer: logs that moved, and what tells us whether anything else differs."""

    store: bytes  # drawn anew when that member opens its store: its arrival numbers mean nothing else
    until: int
    more: bool
    logs: tuple[tuple[AuthorLog, int], ...]
    all_heads: bytes
    members: bytes
    now: float

    @classmethod
    def decode(cls, data: bytes) -> Heads:
        fields = wire.Fields.decode(data, _MAX_ANSWER)
        return cls(
            store=fields.data("store", 32),
            until=fields.integer("until"),
            more=bool(fields.integer("more")),
            logs=tuple(_read_log(item) for item in fields.items("logs", _MAX_HEADS)),
            all_heads=fields.data("heads", 32),
            members=fields.data("members", 32),
            now=fields.number("now"),
        )


class CatchUp:
    """Both sides of catching up. `receive` takes what was pulled."""

    def __init__(
        self,
        store: PinsetStore,
        ledger: Replica,
        members: MemberList,
        calls: PeerCalls,
        receive: Receive,
        visits: HandlerGate,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._members = members
        self._calls = calls
        self._receive = receive
        self._now = now
        self._opening = secrets.token_bytes(16)
        self._cursors: dict[str, tuple[bytes, int]] = {}
        calls.serve(HEADS, visits.call(self._serve_heads))
        calls.serve(BATCHES, visits.call(self._serve_batches))
        calls.serve(MEMBERS, visits.call(self._serve_members))

    async def pull(self, peer: str) -> Heads:
        """Bring everything that this member has and we lack; its last answer.

        Raises CallFailed, PeerOffline, BadUpdate.
        """
        async with _patience(peer) as patience:
            return await self._pull(peer, patience)

    async def _pull(self, peer: str, patience: asyncio.Timeout) -> Heads:
        cursor = self._cursors.get(peer, (b"", 0))
        complete = True
        while True:
            heads = await self._introduced(peer, cursor)
            if heads.members != self._members.digest():
                await self._exchange_members(peer)
            behind = await self._behind(heads)
            complete &= await self._pull_batches(peer, behind, patience)
            cursor = heads.store, heads.until
            if complete:  # else ask for all of it again: something waits for what another member has
                self._cursors[peer] = cursor
            if not heads.more:
                return heads

    async def _introduced(self, peer: str, cursor: tuple[bytes, int]) -> Heads:
        """Its heads; a member that has lost its list, by an old backup, is shown ours first."""
        try:
            return await self._ask_heads(peer, cursor)
        except CallFailed:
            await self._exchange_members(peer)
            return await self._ask_heads(peer, cursor)

    async def _ask_heads(self, peer: str, cursor: tuple[bytes, int]) -> Heads:
        request = wire.encode({"store": cursor[0], "since": cursor[1]})
        return Heads.decode(await self._calls.call(peer, HEADS, request))

    async def _behind(self, heads: Heads) -> list[tuple[AuthorLog, int]]:
        behind = [(log, sequence) for log, sequence in heads.logs if sequence > self._ledger.head(log)]
        if any(log == self._ledger.log for log, _ in behind):
            _logger.warning("another member has seen more of our writing than we have: a new epoch begins")
            await self._ledger.begin_epoch()
        return behind

    async def _pull_batches(
        self, peer: str, behind: Sequence[tuple[AuthorLog, int]], patience: asyncio.Timeout
    ) -> bool:
        """Pull until these heads are reached; False when no more can be applied now."""
        while True:
            lacking = [(log, end) for log, end in behind if end > self._ledger.head(log)]
            if not lacking:
                return True
            applied = 0
            for first in range(0, len(lacking), _MAX_WANTS):
                wanted = [log for log, _ in lacking[first : first + _MAX_WANTS]]
                applied += await self._pull_page(peer, wanted, patience)
            if not applied:
                return False

    async def _pull_page(self, peer: str, logs: Sequence[AuthorLog], patience: asyncio.Timeout) -> int:
        wants: list[wire.Wire] = [[log.author, log.epoch, self._ledger.head(log)] for log in logs]
        answer = await self._calls.call(peer, BATCHES, wire.encode({"wants": wants}))
        envelopes = wire.Fields.decode(answer, _MAX_ANSWER).datas("batches", PAGE_BYTES // 100)
        deadline = patience.when()
        patience.reschedule(None)  # the work on them is ours
        applied = await self._receive(envelopes, peer)
        patience.reschedule(asyncio.get_running_loop().time() + PATIENCE if applied else deadline)
        return applied

    async def _exchange_members(self, peer: str) -> None:
        request = wire.encode({"records": [*self._members.records(MAX_SHOWN)]})
        answer = await self._calls.call(peer, MEMBERS, request)
        await self._members.accept(_read_records(answer), vouched=self._members.is_trusted(peer))

    async def _serve_heads(self, peer: str, request: bytes) -> bytes:
        self._check_member(peer)
        fields = wire.Fields.decode(request, 1024)
        known = fields.data("store", 32) == self._opening
        since = fields.integer("since") if known else 0
        heads = await self._store.heads(since, _MAX_HEADS)
        return wire.encode(
            {
                "store": self._opening,
                "until": heads[-1].arrival if heads else since,
                "more": int(len(heads) == _MAX_HEADS),
                "logs": [[head.log.author, head.log.epoch, head.sequence] for head in heads],
                "heads": self._ledger.heads_digest(),
                "members": self._members.digest(),
                "now": self._now(),
            }
        )

    async def _serve_batches(self, peer: str, request: bytes) -> bytes:
        self._check_member(peer)
        wants = wire.Fields.decode(request, 256 * 1024).items("wants", _MAX_WANTS)
        envelopes = await self._store.batches([_read_log(want) for want in wants], PAGE_BYTES)
        return wire.encode({"batches": [*envelopes]})

    async def _serve_members(self, peer: str, request: bytes) -> bytes:
        # Records prove themselves, so anybody may show them; only a member, perhaps just now, is shown ours.
        await self._members.accept(_read_records(request), vouched=self._members.is_trusted(peer))
        if self._members.removal(peer) is not None:  # it was away, and is to hear it once
            return wire.encode({"records": [*self._members.records_of(peer, GRANT)]})
        self._check_member(peer)
        return wire.encode({"records": [*self._members.records(MAX_SHOWN)]})

    def _check_member(self, peer: str) -> None:
        if not self._members.is_member(peer):
            raise UntrustedPeer(f"{peer} is not a member of this cluster")


@asynccontextmanager
async def _patience(peer: str) -> AsyncIterator[asyncio.Timeout]:
    """Raises PeerOffline when it is at an end."""
    patience = asyncio.timeout(PATIENCE)
    try:
        async with patience:
            yield patience
    except TimeoutError:
        if not patience.expired():
            raise
        raise PeerOffline(f"{peer} has given nothing new for {PATIENCE:.0f} s") from None


def _read_records(data: bytes) -> tuple[bytes, ...]:
    return wire.Fields.decode(data, _MAX_RECORDS_BYTES).datas("records", MAX_RECORDS)


def _read_log(item: wire.Wire) -> tuple[AuthorLog, int]:
    match item:
        case [str(author), int(epoch), int(sequence)] if len(author) <= 128 and epoch >= 0 and sequence >= 0:
            return AuthorLog(author, epoch), sequence
        case _:
            raise BadUpdate("a log must be named by author, epoch and sequence")
