"""Merkle anti-entropy: compares documents with another member when logs are equal, and mends damaged ones.

Both sides hold the same signed batches then, and applying them is deterministic: a document that still
differs is damaged on one side, or holds what its log has not come to. Digests are compared 256 ways at each
step, as down a hash tree. Each side joins its document with that of the other, if it trusts it; one of its
own that is not what it wrote is put aside for that. What stays different is made again from the signed log,
where that is whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from cluster.common import wire
from cluster.common.methods import DIGESTS
from cluster.errors import BadUpdate
from cluster.pinset.tables.rows import DigestSum, DigestSums
from cluster.ports import CallFailed, PeerOffline
from cluster.replication.context import ReplicationContext
from cluster.replication.mending import Mending

MAX_REBUILT = 256
"""Documents made again in one pass over the log."""

_PATIENCE = 120.0  # seconds that comparing with one member may take: the others wait for their turn
_WAYS = 8  # bits compared in one step
_MAX_ANSWER = 64 * 1024
_log = logging.getLogger(__name__)

Range = tuple[int, int]
"""Document numbers [first, last)."""


class AntiEntropy:
    """Both sides of comparing documents."""

    def __init__(self, context: ReplicationContext, mending: Mending) -> None:
        self._context = context
        self._replica = context.replica
        self._mending = mending
        self._stayed: dict[str, frozenset[int]] = {}  # documents that could not be made equal, last time
        self._bits = context.local.genesis.document_bits
        context.gate.serve(DIGESTS, self._serve)

    async def repair(self, peer: str) -> frozenset[int]:
        """Compare with that member, and make again what differs: the numbers of those.

        Raises CallFailed, PeerOffline, BadUpdate.
        """
        differing = await self._compare_in_time(peer)
        if not differing:
            return differing
        if not self._context.members.is_trusted(peer):
            await self._replica.find_damaged(differing)  # a trusted member makes those right; its own are its
            return frozenset()
        changed = await self._by_documents(peer, differing)
        differing &= await self._compare_in_time(peer)
        if differing:
            changed |= await self._by_log(peer, differing)
        self._stayed[peer] = differing - changed
        return changed

    async def _by_documents(self, peer: str, differing: frozenset[int]) -> frozenset[int]:
        try:
            changed = await self._mending.take(peer, differing)
        except CallFailed as error:  # an earlier release
            _log.info("%s gives no documents: %s", peer, error)
            return frozenset()
        _log.warning(
            "%d documents differ from those of %s: %d changed here", len(differing), peer, len(changed)
        )
        return changed

    async def _by_log(self, peer: str, differing: frozenset[int]) -> frozenset[int]:
        """What joining did not make equal: the log decides, where it is whole. Those that it changed."""
        before = await self._replica.digests(differing)
        if await self._replica.rebuild(differing):
            after = await self._replica.digests(differing)
            changed = frozenset(number for number in differing if before.get(number) != after.get(number))
            self._context.counts.repaired += len(changed)
            return changed
        if differing & self._stayed.get(peer, frozenset()):
            _log.error(
                "%d documents still differ from those of %s (the first is %d), and the log that would decide"
                " is cut: remove cluster.db of the member that is wrong, which then starts from the others",
                len(differing),
                peer,
                min(differing),
            )
        return frozenset()

    async def _compare_in_time(self, peer: str) -> frozenset[int]:
        deadline = asyncio.timeout(_PATIENCE)
        try:
            async with deadline:
                return await self._compare(peer)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise PeerOffline(f"comparing with {peer} took longer than {_PATIENCE:.0f} s") from None

    async def _compare(self, peer: str) -> frozenset[int]:
        """Documents that differ from that member's, at most MAX_REBUILT; none while logs differ.

        None either while a forked log is in documents here, whose pins are to be written again first.
        """
        if self._replica.uncontained():
            return frozenset()
        logs = self._replica.heads_digest()
        differing: set[int] = set()
        ranges = [(0, 1 << self._bits)]
        while ranges and len(differing) < MAX_REBUILT:
            first, last = ranges.pop()
            shift = max((last - first).bit_length() - 1 - _WAYS, 0)
            our_logs, ours = await self._replica.digest_sums(first, last, shift)
            their_logs, theirs = await self._ask(peer, (first, last), shift)
            if not our_logs == their_logs == logs:
                return frozenset()  # a member wrote meanwhile: what differs may just be on its way
            unequal = _unequal(ours, theirs)
            if shift:
                ranges += [(part << shift, (part + 1) << shift) for part in unequal]
            else:
                differing.update(unequal)
        return frozenset(sorted(differing)[:MAX_REBUILT])

    async def _ask(self, peer: str, numbers: Range, shift: int) -> tuple[bytes, DigestSums]:
        request = wire.encode({"first": numbers[0], "last": numbers[1], "shift": shift})
        answer = await self._context.calls.call(peer, DIGESTS.name, request)
        fields = wire.Fields.decode(answer, _MAX_ANSWER)
        sums = dict(_digest_sum(item, numbers, shift) for item in fields.items("sums", 1 << _WAYS))
        return fields.data("heads", 32), sums

    async def _serve(self, peer: str, request: bytes) -> bytes:
        fields = wire.Fields.decode(request, 1024)
        high = 1 << self._bits
        first, last = fields.integer("first", high=high), fields.integer("last", high=high)
        shift = fields.integer("shift", high=self._bits)
        if not 0 < (last - first) >> shift <= 1 << _WAYS:
            raise BadUpdate("too many digests asked for at once")
        logs, sums = await self._replica.digest_sums(first, last, shift)
        rows = [[number, one.documents, one.first, one.second] for number, one in sums.items()]
        return wire.encode({"heads": logs, "sums": rows})


def _unequal(ours: DigestSums, theirs: DigestSums) -> Sequence[int]:
    return [part for part in {*ours, *theirs} if ours.get(part) != theirs.get(part)]


def _digest_sum(item: wire.Wire, numbers: Range, shift: int) -> tuple[int, DigestSum]:
    match item:
        case [int(number), int(count), int(first), int(second)] if numbers[0] <= number << shift < numbers[1]:
            return number, DigestSum(count, first, second)
        case _:
            raise BadUpdate("a digest sum must be four integers, inside the range asked for")
