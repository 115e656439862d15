"""Whom to ask next for one block. Pure: a want in, asks and wantlist entries out."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nsmallest

from bitswap.fetching.peer_state import MAX_ASKS, PeerState
from bitswap.fetching.peer_table import PeerTable
from bitswap.fetching.want import Ask, Want
from bitswap.message import WantlistEntry, WantType

_TOP_PRIORITY = 2**31 - 1


class PeerSelection:
    """`breadth`: peers asked for one block."""

    def __init__(self, peers: PeerTable, breadth: int) -> None:
        self._peers = peers
        self._breadth = breadth
        self._priority = _TOP_PRIORITY

    def ask_next(self, want: Want, now: float) -> bool:
        """False when the want must wait in line: peers that should be asked have no room."""
        if want.awaits_block:
            return True
        known = self._known(want)
        if good := [peer for peer in known if not peer.credit.owes(now)]:
            return self._ask_best(want, good, max(1, want.late), now)
        want.broad = True
        asked = self._ask_all(want, now)
        if known and not want.awaits_debtor:
            return self._ask_best(want, known, 1, now) or bool(want.asked)
        return asked

    def remind(self, peer: PeerState, now: float, patience: float) -> None:
        """A peer that has answered nothing for so many seconds is asked again: it may have lost it.

        A peer that still has the want takes it for the same one. Seen at Helia 7: it resets a stream after
        10 s without a message, and one that is under way then is lost; an answer that it could not send in
        10 s is lost too, and the next telling of that want only strikes it from its list. So twice at least.
        """
        for want, ask in peer.forgotten(patience, now):
            peer.reminded_at = now
            peer.queue(want, self._entry(want, ask.type))

    def forget_ask(self, want: Want, name: str) -> None:
        """Answered, or given up."""
        ask = want.asked.pop(name, None)
        if ask is not None and (peer := self._peers.get(name)) is not None:
            peer.on_ask_over(want, ask)

    def _ask_best(self, want: Want, peers: Iterable[PeerState], count: int, now: float) -> bool:
        """Ask so many of those with room for the block; False when none has any."""
        odds, urgent = want.sessions[0].odds, want.late > 0
        free = [peer for peer in peers if peer.has_room]
        best = nsmallest(count, free, key=lambda peer: peer.load(odds(peer.name), now, urgent=urgent))
        for peer in best:
            self._ask(want, peer, WantType.BLOCK, now)
        return bool(free)

    def _known(self, want: Want) -> list[PeerState]:
        """Peers that probably have it and may be asked for the block."""
        names: Iterable[str] = want.havers
        if not want.havers and not want.broad:
            good = [peer for session in want.sessions for peer in session.peers()]
            names = dict.fromkeys([*want.hints, *good])
        return [self._peers.of(name) for name in names if self._may_ask(want, name)]

    def _may_ask(self, want: Want, name: str) -> bool:
        ask = want.asked.get(name)
        if name in want.refused or (ask is not None and ask.type is WantType.BLOCK):
            return False
        peer = self._peers.get(name)
        return name in want.hints or (peer is not None and peer.connected)

    def _ask_all(self, want: Want, now: float) -> bool:
        """Ask the connected ones whether they have it; a lone one for the block at once."""
        fresh = [
            peer
            for peer in self._peers
            if peer.connected and peer.name not in want.refused and peer.name not in want.asked
        ]
        if len(fresh) == 1 and not want.asked:
            if fresh[0].has_room:
                self._ask(want, fresh[0], WantType.BLOCK, now)
            return fresh[0].has_room or bool(want.asked)
        free = [peer for peer in fresh if peer.asks < MAX_ASKS]
        free.sort(key=lambda peer: peer.credit.failures)
        for peer in free[: max(0, self._breadth - len(want.asked))]:
            self._ask(want, peer, WantType.HAVE, now)
        return bool(want.asked) or not fresh

    def _ask(self, want: Want, peer: PeerState, kind: WantType, now: float) -> None:
        self.forget_ask(want, peer.name)
        ask = want.asked[peer.name] = Ask(kind, now, doubted=peer.credit.owes(now))
        want.informed.add(peer.name)
        peer.on_ask(want, ask)
        peer.queue(want, self._entry(want, kind))

    def _entry(self, want: Want, kind: WantType) -> WantlistEntry:
        self._priority = self._priority - 1 or _TOP_PRIORITY  # earlier wants first, as boxo counts
        return WantlistEntry(want.cid, kind, self._priority, send_dont_have=True)
