"""Finds logs whose author signed two batches under one number, tells of them, and has all members know.

Signs of a fork: a batch that came again and is another one; a batch that does not follow the one before it;
equal heads with unequal hashes. A sign proves nothing: the first two batches that differ are looked for at
the members, and with these the fork is proved to anyone. The log then goes no further here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cluster.common import wire
from cluster.common.loops import steadily
from cluster.common.methods import FORKS
from cluster.errors import BadUpdate
from cluster.pinset.log.batch import AuthorLog, OpenedBatch, SignedBatch
from cluster.pinset.log.fork import Fork
from cluster.ports import MAX_CALL, CallFailed, PeerOffline
from cluster.replication.context import ReplicationContext
from cluster.replication.fork_branches import ForkBranches, fetch_batches
from cluster.replication.heads import Heads, decode_logs, encode_logs

_MAX_SIGNS = 256  # waiting to be looked into; further ones come again
_TRUSTED_DELAY, _FOLLOWER_DELAY = (5.0, 60.0), (120.0, 180.0)
_PAUSE = 0.05  # seconds between two steps of containing: writes come first
_PAUSE_OF_DISK = 5.0  # seconds until a disk that is full, say, is tried again
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ForkSign:
    """Up to that number that member, or any (empty), may have another log than we; or it tells of a fork."""

    log: AuthorLog
    sequence: int
    peer: str = ""
    told: bool = False
    envelope: bytes = b""  # the other batch of that number, where it came by itself


class ForkWatch:
    """Signs come in from where batches and heads are read; `run` looks into them, one after another."""

    def __init__(self, context: ReplicationContext) -> None:
        self._context = context
        self._replica = context.replica
        self._store = context.store.forks
        self._branches = ForkBranches(context)
        self._signs: asyncio.Queue[ForkSign] = asyncio.Queue(_MAX_SIGNS)
        self._unanswered: dict[str, list[ForkSign]] = {}  # by members that could not be asked
        self._uncontained = asyncio.Event()
        self._uncontained.set()
        context.gate.serve(FORKS, self._serve)

    def batch_came_again(self, signed: SignedBatch) -> None:
        """Of a number that is here already."""
        log, sequence = signed.batch.log, signed.batch.sequence
        if sequence == self._replica.head(log) and signed.hash == self._replica.hash_of(log):
            return
        self._sign(ForkSign(log, sequence, envelope=signed.envelope))

    def batch_does_not_follow(self, signed: SignedBatch) -> None:
        """The one before it is here, and is another than the one that it names."""
        self._sign(ForkSign(signed.batch.log, signed.batch.sequence - 1))

    def heads_told(self, peer: str, heads: Heads) -> None:
        """What a member says of its logs, and of forks that it knows."""
        replica = self._replica
        for log, sequence in heads.logs:
            extent = heads.extents.get(log)
            ours = replica.hash_of(log)
            if extent and extent.hash and ours and sequence == replica.head(log) and extent.hash != ours:
                self._sign(ForkSign(log, sequence, peer))
        for log, sequence in heads.forks:
            self._sign(ForkSign(log, sequence, peer, told=True))
        for sign in (*self._unanswered.pop(peer, ()), *self._unanswered.pop("", ())):
            self._sign(sign)  # heads that do not move are not told again

    async def run(self) -> None:
        """Looks into what was noticed, for as long as the pinset is open."""
        await steadily(self._context.guard, "looking into a forked log", "its author", self._look_into_next)

    async def run_containment(self) -> None:
        """Takes forked logs out of the documents, for as long as the pinset is open."""
        await steadily(self._context.guard, "containing a forked log", "its author", self._contain_next)

    def _sign(self, sign: ForkSign) -> None:
        if (
            0 < sign.sequence < self._replica.forks.get(sign.log, sign.sequence + 1)
            and not self._signs.full()
        ):
            self._signs.put_nowait(sign)

    async def _look_into_next(self) -> None:
        sign = await self._signs.get()
        try:
            await self._look_into(sign)
        except OSError as error:
            _log.warning("what shows that a log is forked cannot be kept now: %s", error)
            self._ask_later(sign)

    async def _look_into(self, sign: ForkSign) -> None:
        if sign.sequence >= self._replica.forks.get(sign.log, sign.sequence + 1):
            return  # known by now
        if sign.envelope:
            await self._compare(sign)
            return
        for peer in [sign.peer] if sign.peer else self._to_ask(sign.log.author):
            try:
                fork = await self._told(peer, sign.log) if sign.told else await self._found(peer, sign)
            except (CallFailed, PeerOffline, BadUpdate) as error:
                _log.info("%s cannot be asked about a forked log now: %s", peer, error)
                self._ask_later(replace(sign, peer=peer))
                continue
            if fork is not None:
                await self._note(fork)
                return

    def _ask_later(self, sign: ForkSign) -> None:
        """When that member, or any where the sign names none, answers again."""
        signs = self._unanswered.setdefault(sign.peer, [])
        if sign not in signs and len(signs) < _MAX_SIGNS:
            signs.append(sign)

    def _to_ask(self, author: str) -> Iterable[str]:
        connected = self._context.calls.peers() & self._context.members.peers()
        return sorted(connected, key=lambda peer: (peer != author, peer))

    async def _compare(self, sign: ForkSign) -> None:
        """The batch that came again, with ours."""
        ours, theirs = await self._ours(sign.log, sign.sequence), OpenedBatch.read(sign.envelope)
        if ours is None or ours.hash == theirs.hash:
            return
        await self._note(self._proved(ours.envelope, sign.envelope))
        if not ours.batch.prev or ours.batch.prev != theirs.batch.prev:  # it may be further up
            self._sign(ForkSign(sign.log, sign.sequence - 1))

    async def _found(self, peer: str, sign: ForkSign) -> Fork | None:
        """The first number whose batches differ here and there, by binary search; None where none does."""
        low, high = 1, min(sign.sequence, self._replica.head(sign.log))
        found = None
        while low <= high:
            middle = (low + high) // 2
            ours, theirs = await self._ours(sign.log, middle), await self._theirs(peer, sign.log, middle)
            if ours is None or theirs is None or ours.hash == theirs.hash:  # cut: it was the same for all
                low = middle + 1
            else:
                found, high = (ours.envelope, theirs.envelope), middle - 1
        return self._proved(*found) if found else None

    async def _ours(self, log: AuthorLog, sequence: int) -> OpenedBatch | None:
        return _of_number(await self._context.store.batches([(log, sequence - 1)], 1), log, sequence)

    async def _theirs(self, peer: str, log: AuthorLog, sequence: int) -> OpenedBatch | None:
        return _of_number(await fetch_batches(self._context, peer, log, sequence - 1), log, sequence)

    async def _told(self, peer: str, log: AuthorLog) -> Fork | None:
        answer = await self._context.calls.call(
            peer, FORKS.name, wire.encode({"log": encode_logs([(log, 0)])})
        )
        envelopes = wire.Fields.decode(answer, MAX_CALL).datas("batches", 2)
        fork = self._proved(*envelopes) if len(envelopes) == 2 else None
        if fork is not None and fork.log != log:
            raise BadUpdate("the fork of another log was told")
        return fork

    def _proved(self, first: bytes, second: bytes) -> Fork:
        return Fork.proved(first, second, self._context.local.cluster_id, self._context.local.signer)

    async def _note(self, fork: Fork) -> None:
        """Keep it, stop its log, and tell."""
        if not await self._store.keep(fork):
            return
        await self._replica.stop_log(fork.log, fork.sequence)
        context = self._context
        context.counts.forked += 1
        self._uncontained.set()
        author = fork.log.author
        _log.error(
            "%s (%s) has signed two different batches under number %d of one log: was its machine rolled back"
            " together with its memory, or its key copied? Nothing of that log is taken from there on",
            context.members.name(author) or "a member",
            author,
            fork.sequence,
        )

    async def _contain_next(self) -> None:
        await self._uncontained.wait()
        logs = self._replica.uncontained()
        if not logs:
            self._uncontained.clear()
            return
        await asyncio.sleep(self._delay(logs[0].author))
        try:
            await self._contain(logs[0])
        except OSError as error:
            _log.warning("a forked log cannot be taken out of the documents now: %s", error)
            await asyncio.sleep(_PAUSE_OF_DISK)

    def _delay(self, author: str) -> float:
        """Seconds: its author first, who may not write last, so that few write the same pins again."""
        context = self._context
        us, chance = context.local.peer, context.local.chance
        if us == author:
            return 0.0
        return chance.uniform(*(_TRUSTED_DELAY if context.members.is_trusted(us) else _FOLLOWER_DELAY))

    async def _contain(self, log: AuthorLog) -> None:
        rewriting = self._context.members.is_trusted(self._context.local.peer)
        shared = await self._branches.shared_clocks(log)
        while log in self._replica.uncontained():
            await self._replica.contain(log, rewriting=rewriting, shared=shared)
            await asyncio.sleep(_PAUSE)
        _log.info("the forked log of %s is taken out of the documents", log.author)

    async def _serve(self, peer: str, request: bytes) -> bytes:
        ((log, _),) = decode_logs(wire.Fields.decode(request, 1024), "log", 1) or ((AuthorLog("", 0), 0),)
        fork = await self._store.evidence(log)
        return wire.encode({"batches": [fork.one, fork.other] if fork else []})


def _of_number(envelopes: Sequence[bytes], log: AuthorLog, sequence: int) -> OpenedBatch | None:
    """The first of them, if it is that batch."""
    opened = OpenedBatch.read(envelopes[0]) if envelopes else None
    fits = opened is not None and (opened.batch.log, opened.batch.sequence) == (log, sequence)
    return opened if fits else None
