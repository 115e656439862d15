"""Compares documents with another member when logs are equal, and makes damaged ones again from the log.

Both sides hold the same signed batches then, and applying them is deterministic: a document that still
differs is damaged on one side. Digests are compared 256 ways at each step. Each side makes its own document
again from batches whose signatures prove them, and takes no content on another's word.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from cluster.common import wire
from cluster.common.genesis import Genesis
from cluster.errors import BadUpdate, UntrustedPeer
from cluster.members.member_list import MemberList
from cluster.pinset.replica import Replica
from cluster.pinset.store import DigestSum
from cluster.ports import PeerCalls, PeerOffline
from cluster.replication.handler_gate import HandlerGate

DIGESTS = "pinset/digests"
MAX_DOCUMENTS = 256
"""Documents made again in one pass over the log."""
_PATIENCE = 120.0  # seconds that comparing with one member may take: the others wait for their turn
_WAYS = 8  # bits compared in one step
_MAX_ANSWER = 64 * 1024


class AntiEntropy:
    """Both sides of comparing documents."""

    def __init__(
        self, genesis: Genesis, ledger: Replica, members: MemberList, calls: PeerCalls, visits: HandlerGate
    ) -> None:
        self._bits = genesis.document_bits
        self._ledger = ledger
        self._members = members
        self._calls = calls
        calls.serve(DIGESTS, visits.call(self._serve))

    async def compare(self, peer: str) -> frozenset[int]:
        """Documents that differ from that member's, at most MAX_DOCUMENTS; none while logs differ.

        Raises CallFailed, PeerOffline, BadUpdate.
        """
        logs = self._ledger.heads_digest()
        differing: set[int] = set()
        ranges = [(0, 1 << self._bits)]
        while ranges and len(differing) < MAX_DOCUMENTS:
            first, last = ranges.pop()
            shift = max((last - first).bit_length() - 1 - _WAYS, 0)
            our_logs, ours = await self._ledger.digest_sums(first, last, shift)
            their_logs, theirs = await self._ask(peer, first, last, shift)
            if not our_logs == their_logs == logs:
                return frozenset()  # somebody wrote meanwhile: what differs may just be on its way
            unequal = [part for part in {*ours, *theirs} if ours.get(part) != theirs.get(part)]
            if shift:
                ranges += [(part << shift, (part + 1) << shift) for part in unequal]
            else:
                differing.update(unequal)
        return frozenset(sorted(differing)[:MAX_DOCUMENTS])

    async def repair(self, peer: str) -> frozenset[int]:
        """Compare, and make again what differs: those. Raises CallFailed, PeerOffline, BadUpdate."""
        patience = asyncio.timeout(_PATIENCE)
        try:
            async with patience:
                differing = await self.compare(peer)
        except TimeoutError:
            if not patience.expired():
                raise
            raise PeerOffline(f"comparing with {peer} took longer than {_PATIENCE:.0f} s") from None
        if differing:
            await self._ledger.rebuild(differing)
        return differing

    async def _ask(
        self, peer: str, first: int, last: int, shift: int
    ) -> tuple[bytes, Mapping[int, DigestSum]]:
        request = wire.encode({"first": first, "last": last, "shift": shift})
        answer = wire.Fields.decode(await self._calls.call(peer, DIGESTS, request), _MAX_ANSWER)
        sums = {}
        for item in answer.items("sums", 1 << _WAYS):
            match item:
                case [int(number), int(count), int(one), int(two)] if first <= number << shift < last:
                    sums[number] = count, one, two
                case _:
                    raise BadUpdate("a digest sum must be four integers, inside the range asked for")
        return answer.data("heads", 32), sums

    async def _serve(self, peer: str, request: bytes) -> bytes:
        if not self._members.is_member(peer):
            raise UntrustedPeer(f"{peer} is not a member of this cluster")
        fields = wire.Fields.decode(request, 1024)
        high = 1 << self._bits
        first, last = fields.integer("first", high=high), fields.integer("last", high=high)
        shift = fields.integer("shift", high=self._bits)
        if not 0 < (last - first) >> shift <= 1 << _WAYS:
            raise BadUpdate("too many digests asked for at once")
        logs, sums = await self._ledger.digest_sums(first, last, shift)
        return wire.encode({"heads": logs, "sums": [[number, *values] for number, values in sums.items()]})
