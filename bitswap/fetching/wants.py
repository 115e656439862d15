"""Our wantlist, as a state machine for each block. Pure: events and a time in, wantlist entries out.

For each want, in this order:
1. Peers known to be good, by hint or because they had other blocks of the DAG: the best one with room is
   asked for the block (WANT_BLOCK). When all of them are busy, the want waits in line.
2. When the first of them refuses: all that are connected are asked whether they have it (WANT_HAVE), at most
   `breadth` at a time; a lone peer is asked for the block at once. A peer that says HAVE is asked for the
   block.
3. DONT_HAVE, silence and disconnection move on to the next peer. A peer that connects is asked too. One that
   sends no block for about two round trips is late: a second peer is asked for it as well, then two more,
   then four. The late one owes it, and is asked last for every want until it has made good, or time has
   passed.
4. A peer that falls silent is told its wants again, once: it may have lost a message.
5. When no peer is left to ask for `newcomer` seconds, the want is given up, with the reason.

States of a want (`WantState`) and what leads from one to the other; after every event that is named here the
next peers are asked (`_advance`), and so the want is in the state that those allow:

    state       a peer in good standing was …        leaves it by
    AWAITING    asked for the block, and is in time   DONT_HAVE, late, silent, gone → any; block → over
    SEARCHING   asked whether it has it, or is late   HAVE, more time, a new peer → any; block → over
    IN_LINE     busy with other blocks                room, a new peer → any; block → over
    QUIET       none is left                          a new peer, a new hint, HAVE → any; time → over

`cancel` ends a want in every state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from bitswap.fetching.fair_queue import FairQueue
from bitswap.fetching.peer_selection import PeerSelection
from bitswap.fetching.peer_state import PeerState
from bitswap.fetching.peer_table import PeerTable
from bitswap.fetching.session_peers import SessionPeers
from bitswap.fetching.want import GivenUp, Want, WantRefusal, WantState
from bitswap.fetching.want_timeouts import WantTimeouts
from bitswap.message import Presence, WantlistEntry, WantType
from bitswap.received import ReceivedBlock
from blockstore.cid import CID
from blockstore.fetch_report import FetchReport

_MAX_HINTS = 16  # peers a want is asked of by hint
_MAX_TURNS = 32  # sessions looked at when room appears


@dataclass(frozen=True, slots=True)
class SortedBlocks:
    """Blocks that were asked for, and those that come after they were. All others are unsolicited."""

    wanted: tuple[ReceivedBlock, ...] = ()
    duplicates: tuple[ReceivedBlock, ...] = ()


class Wants:
    def __init__(self, timeouts: WantTimeouts | None = None) -> None:
        self._timeouts = timeouts or WantTimeouts()
        self._wants: dict[bytes, Want] = {}
        self._peers = PeerTable()
        self._selection = PeerSelection(self._peers, self._timeouts.breadth)
        self._queue = FairQueue()

    def __len__(self) -> int:
        return len(self._wants)

    def __contains__(self, cid: CID) -> bool:
        return cid.multihash in self._wants

    def __repr__(self) -> str:
        return f"<Wants {len(self)} from {len(self._peers)} peers, {self._queue}>"

    def wantlist(self) -> tuple[CID, ...]:
        """Our wantlist, oldest first."""
        return tuple(want.cid for want in self._wants.values())

    def explain(self, cid: CID) -> str:
        """Where one want stands, for operators and tests."""
        return repr(self._wants.get(cid.multihash))

    def state(self, cid: CID) -> WantState | None:
        """None where the block is not wanted."""
        want = self._wants.get(cid.multihash)
        return want.state(in_line=want in self._queue) if want is not None else None

    def report(self, cid: CID) -> FetchReport:
        """Where one want stands, in counts; without one, who could be asked."""
        want = self._wants.get(cid.multihash)
        if want is None:
            return FetchReport(connected=self._peers.connected)
        hinted = map(self._peers.get, want.hints)
        return FetchReport(
            connected=self._peers.connected,
            holders=len(want.hints),
            holders_connected=sum(peer is not None and peer.connected for peer in hinted),
            outcomes=want.outcomes(),
        )

    def asked(self, peer: str) -> int:
        """Wants that the peer knows of."""
        known = self._peers.get(peer)
        return len(known.known_wants) if known is not None else 0

    def expects(self, peer: str) -> bool:
        """Whether a block from that peer can be anything but unsolicited."""
        known = self._peers.get(peer)
        return known is not None and bool(known.known_wants or known.withdrawn)

    # What to send.

    def dirty(self) -> tuple[str, ...]:
        """Peers that are to get a message."""
        return tuple(peer.name for peer in self._peers if peer.outbox)

    def take(self, peer: str, limit: int = 2048) -> tuple[WantlistEntry, ...]:
        """What to send to that peer now; what is returned counts as sent."""
        known = self._peers.get(peer)
        return known.take(limit) if known is not None else ()

    # Events.

    def add(self, cid: CID, session: SessionPeers, hints: Iterable[str], now: float) -> None:
        """A caller wants a block."""
        hints = islice(hints, _MAX_HINTS)
        want = self._wants.get(cid.multihash)
        if want is None:
            want = self._wants[cid.multihash] = Want(cid, [session], dict.fromkeys(hints))
        else:
            want.join(session, hints)
        self._advance(want, now)

    def cancel(self, cid: CID, now: float) -> None:
        """No caller wants it any more."""
        if (want := self._wants.get(cid.multihash)) is not None:
            self._finish(want)
            self._use_room(now)

    def on_connect(self, peer: str, now: float) -> None:
        self._peers.of(peer).on_connect(now)
        for want in self._wants.values():
            want.refused.pop(peer, None)
            if want.broad or peer in want.hints:
                self._advance(want, now)
        self._use_room(now)

    def on_disconnect(self, peer: str, now: float) -> None:
        """It is gone; what it was asked is asked of others."""
        if (gone := self._peers.remove(peer)) is not None:
            self._reassign(gone, now)

    def on_unreachable(self, peer: str, now: float) -> None:
        """Sending failed: what was sent before may be lost as well."""
        if (gone := self._peers.renew(peer)) is None:
            return
        if (again := self._peers.get(peer)) is not None:
            again.on_connect(now)
            again.credit.on_failure(now)
        self._reassign(gone, now, WantRefusal.UNREACHABLE)

    def on_presences(self, peer: str, presences: Sequence[Presence], now: float) -> int:
        """HAVE and DONT_HAVE; how many were about what the peer was asked. The others are ignored."""
        if (sender := self._peers.get(peer)) is None:
            return 0
        answers = 0
        for presence in presences:
            if (want := sender.known_wants.get(presence.cid.multihash)) is not None:
                self._on_presence(want, sender, presence.have, now)
                self._advance(want, now)
            elif presence.cid.multihash not in sender.withdrawn:
                continue
            answers += 1
        self._use_room(now)
        return answers

    def on_blocks(self, peer: str, blocks: Sequence[ReceivedBlock], now: float) -> SortedBlocks:
        """Verified blocks; only those this peer was asked for are wanted."""
        if (sender := self._peers.get(peer)) is None:
            return SortedBlocks()
        wanted: list[ReceivedBlock] = []
        duplicates: list[ReceivedBlock] = []
        if any(
            block.multihash in sender.known_wants or block.multihash in sender.withdrawn for block in blocks
        ):
            sender.on_blocks(now)
        for block in blocks:
            if (want := sender.known_wants.get(block.multihash)) is not None:
                self._on_block(want, sender, len(block.data), now)
                wanted.append(block)
            elif block.multihash in sender.withdrawn:
                del sender.withdrawn[block.multihash]
                duplicates.append(block)
        self._use_room(now)
        return SortedBlocks(tuple(wanted), tuple(duplicates))

    # Time.

    def awaited(self) -> list[str]:
        """Peers that were asked for blocks and are in time; for `chase`, several times a second."""
        return [peer.name for peer in self._peers if peer.awaited]

    def chase(self, peer: str, now: float) -> None:
        """What that peer is late with is asked of others too; on a slow line, it may still come."""
        if (late := self._peers.get(peer)) is None:
            return
        for key in late.late(now):
            want = late.known_wants[key]
            want.asked[peer].late = True
            late.on_late(want, now)
            for session in want.sessions:
                session.on_miss(peer)
            self._advance(want, now)

    def overdue(self, now: float) -> list[CID]:
        """Wants with a silent peer, or with none left to ask; for `look`, now and then."""
        return [want.cid for want in self._wants.values() if self._is_due(want, now)]

    def look(self, cid: CID, now: float) -> GivenUp | None:
        """Moves on from peers that are silent about one want; what it came to when it is over."""
        if (want := self._wants.get(cid.multihash)) is None:
            return None
        for name in self._silent(want, now):
            self._peers[name].credit.on_failure(now)
            self._refuse(want, name, WantRefusal.SILENT)
        self._advance(want, now)
        if not self._timeouts.is_hopeless(want, now):
            return None
        over = GivenUp(want.cid, self.report(want.cid))
        self._finish(want)
        return over

    def on_tick(self, now: float) -> None:
        """After all wants were looked at: the silent are reminded, room is used, vain hints forgotten."""
        for peer in self._peers:
            self._selection.remind(peer, now, self._timeouts.reminder)
        self._use_room(now)
        self._peers.forget_unused()

    # One want.

    def _advance(self, want: Want, now: float) -> bool:
        """Ask the peers that are next. False when the want must wait in line."""
        placed = self._selection.ask_next(want, now)
        if placed:
            self._queue.discard(want)
        else:
            self._queue.add(want)
        if not placed or want.asked:
            want.quiet_since = None
        elif want.quiet_since is None:
            want.quiet_since = now
        return placed

    def _on_presence(self, want: Want, sender: PeerState, have: bool, now: float) -> None:
        sender.heard_at = now
        if (ask := want.asked.get(sender.name)) is not None and (ask.type is WantType.HAVE or not have):
            sender.tempo.on_answer(now - ask.at)
        if not have:
            self._on_dont_have(want, sender, now)
        elif sender.name not in want.havers and sender.name not in want.broken:
            self._on_have(want, sender.name)

    def _on_have(self, want: Want, peer: str) -> None:
        want.refused.pop(peer, None)
        want.havers[peer] = None
        ask = want.asked.get(peer)
        if ask is not None and ask.type is WantType.HAVE:
            self._selection.forget_ask(want, peer)
        for session in want.sessions:
            session.on_hit(peer)

    def _on_dont_have(self, want: Want, sender: PeerState, now: float) -> None:
        if sender.name in want.havers:
            sender.credit.on_failure(now)
        self._refuse(want, sender.name, WantRefusal.DONT_HAVE)

    def _on_block(self, want: Want, sender: PeerState, size: int, now: float) -> None:
        sender.on_block(want.asked.get(sender.name), size, now)
        for session in want.sessions:
            session.on_hit(sender.name)
        self._finish(want, sender)

    def _refuse(self, want: Want, peer: str, refusal: WantRefusal) -> None:
        self._selection.forget_ask(want, peer)
        want.refuse(peer, refusal)

    def _reassign(self, gone: PeerState, now: float, refusal: WantRefusal | None = None) -> None:
        """What a peer was asked is asked of others; with a `refusal` not of the same peer again."""
        for want in gone.known_wants.values():
            want.leave_out(gone.name)
            if refusal is not None:
                want.refused[gone.name] = refusal
        for want in gone.known_wants.values():
            self._advance(want, now)
        self._use_room(now)

    def _finish(self, want: Want, sender: PeerState | None = None) -> None:
        """The want is over. All peers that know of it get a CANCEL, but for the one that sent the block."""
        del self._wants[want.key]
        self._queue.discard(want)
        for name in want.informed:
            self._selection.forget_ask(want, name)
            if (peer := self._peers.get(name)) is not None:
                (peer.settle if peer is sender else peer.withdraw)(want)

    def _is_due(self, want: Want, now: float) -> bool:
        return self._timeouts.is_hopeless(want, now) or bool(self._silent(want, now))

    def _silent(self, want: Want, now: float) -> list[str]:
        """Peers that are waited for no longer."""
        asks = want.asked.items()
        return [name for name, ask in asks if self._timeouts.is_overdue(want, self._peers[name], ask, now)]

    def _use_room(self, now: float) -> None:
        """Peers may have become free: let those that wait in line ask, one session after the other."""
        stuck = 0
        while stuck < min(len(self._queue), _MAX_TURNS):
            stuck = 0 if self._advance(self._queue.turn(), now) else stuck + 1
