"""What we want, from whom, and what to send next. Pure: events and a time in, wantlist entries out.

For each want, in this order:
1. Peers known to be good, by hint or because they had other blocks of the DAG: the best one with room is
   asked for the block (WANT_BLOCK). When all of them are busy, the want waits in line.
2. When the first of them refuses: everybody who is connected is asked whether he has it (WANT_HAVE), at most
   `breadth` at a time; a lone peer is asked for the block at once. Who says HAVE is asked for the block.
3. DONT_HAVE, silence and disconnection move on to the next peer. A peer that connects is asked too. Who
   sends no block for about two round trips is late: a second peer is asked for it as well, then two more,
   then four. He owes it, and goes to the end of the line for every want until he has made good, or time has
   passed.
4. When nobody is left to ask for `patience` seconds, the want is given up, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice

from cachetools import LRUCache

from bitswap.fetching.credit import Credit
from bitswap.fetching.fair_queue import FairQueue
from bitswap.fetching.peer_state import MAX_ASKS, PeerState
from bitswap.fetching.session_peers import SessionPeers
from bitswap.fetching.want import Ask, GivenUp, Want, WantRefusal
from bitswap.message import Presence, WantlistEntry, WantType
from bitswap.received import ReceivedBlock
from blockstore.cid import CID
from blockstore.fetch_report import FetchReport

_MAX_HINTS = 16  # peers a want is asked of by hint
_MAX_DEBTS = 1024  # peers that are gone and owed something
_MAX_TURNS = 32  # sessions looked at when room appears
_TOP_PRIORITY = 2**31 - 1


@dataclass(frozen=True, slots=True)
class WantTimeouts:
    """How long to wait, in seconds, and how many peers to ask at once.

    `answer`: for a peer that was asked and sends nothing. `block`: for one that says it has the block and
    does not send it; others are asked long before (`Tempo`). `newcomer`: for a new peer when all have
    refused. `breadth`: peers asked for one block.
    """

    answer: float = 8.0
    block: float = 45.0
    newcomer: float = 10.0
    breadth: int = 64


@dataclass(frozen=True, slots=True)
class Sorted:
    """Blocks that were asked for, and those that come after they were. All others are unsolicited."""

    wanted: tuple[ReceivedBlock, ...]
    duplicates: tuple[ReceivedBlock, ...]


class Wants:
    def __init__(self, patience: WantTimeouts | None = None) -> None:
        self._patience = patience or WantTimeouts()
        self._wants: dict[bytes, Want] = {}
        self._remotes: dict[str, PeerState] = {}
        self._line = FairQueue()
        self._debts: LRUCache[str, Credit] = LRUCache(_MAX_DEBTS)
        self._priority = _TOP_PRIORITY

    def __len__(self) -> int:
        return len(self._wants)

    def __contains__(self, cid: CID) -> bool:
        return cid.multihash in self._wants

    def __repr__(self) -> str:
        return f"<Wants {len(self)} from {len(self._remotes)} peers, {self._line}>"

    def wantlist(self) -> tuple[CID, ...]:
        """Our wantlist, oldest first."""
        return tuple(want.cid for want in self._wants.values())

    def explain(self, cid: CID) -> str:
        """Where one want stands, for people and tests."""
        return repr(self._wants.get(cid.multihash))

    def report(self, cid: CID) -> FetchReport:
        """Where one want stands, in counts; without one, who could be asked."""
        connected = sum(remote.connected for remote in self._remotes.values())
        want = self._wants.get(cid.multihash)
        return FetchReport(connected=connected) if want is None else self._report(want, connected)

    def expects(self, peer: str) -> bool:
        """Whether a block from that peer can be anything but unsolicited."""
        remote = self._remotes.get(peer)
        return remote is not None and bool(remote.told or remote.withdrawn)

    # What to send.

    def dirty(self) -> tuple[str, ...]:
        """Peers that have something to hear."""
        return tuple(remote.name for remote in self._remotes.values() if remote.outbox)

    def take(self, peer: str, most: int = 2048) -> tuple[WantlistEntry, ...]:
        """What to tell that peer now; what is returned counts as sent."""
        remote = self._remotes.get(peer)
        return remote.take(most) if remote is not None else ()

    # Events.

    def add(self, cid: CID, session: SessionPeers, hints: Iterable[str], now: float) -> None:
        """Somebody wants a block."""
        hints = islice(hints, _MAX_HINTS)
        want = self._wants.get(cid.multihash)
        if want is None:
            want = self._wants[cid.multihash] = Want(cid, [session], dict.fromkeys(hints))
        else:
            want.join(session, hints)
        self._advance(want, now)

    def cancel(self, cid: CID, now: float) -> None:
        """Nobody wants it any more."""
        if (want := self._wants.get(cid.multihash)) is not None:
            self._finish(want)
            self._use_room(now)

    def on_connect(self, peer: str, now: float) -> None:
        remote = self._remote(peer)
        remote.connected, remote.connected_at = True, now
        for want in self._wants.values():
            want.refused.pop(peer, None)
            if want.broad or peer in want.hints:
                self._advance(want, now)
        self._use_room(now)

    def on_disconnect(self, peer: str, now: float) -> None:
        """It is gone; what it was asked is asked of others."""
        remote = self._remotes.pop(peer, None)
        if remote is None:
            return
        self._remember(remote)
        for want in remote.told.values():
            want.leave_out(peer)
        for want in remote.told.values():
            self._advance(want, now)
        self._use_room(now)

    def on_unreachable(self, peer: str, now: float) -> None:
        """Sending failed: what was sent before may be lost as well."""
        remote = self._remotes.pop(peer, None)
        if remote is None:
            return
        if remote.connected:
            again = self._remotes[peer] = PeerState(peer, remote.credit)
            again.connected, again.connected_at = True, now
            again.credit.on_failure(now)
        for want in remote.told.values():
            want.leave_out(peer)
            want.refused[peer] = WantRefusal.UNREACHABLE
        for want in remote.told.values():
            self._advance(want, now)
        self._use_room(now)

    def on_presences(self, peer: str, presences: Sequence[Presence], now: float) -> int:
        """HAVE and DONT_HAVE; how many were about what the peer was asked. The others are ignored."""
        if (remote := self._remotes.get(peer)) is None:
            return 0
        answers = 0
        for presence in presences:
            if (want := remote.told.get(presence.cid.multihash)) is not None:
                self._on_presence(want, remote, presence.have, now)
                self._advance(want, now)
            elif presence.cid.multihash not in remote.withdrawn:
                continue
            answers += 1
        self._use_room(now)
        return answers

    def on_blocks(self, peer: str, arrivals: Sequence[ReceivedBlock], now: float) -> Sorted:
        """Verified blocks; only those this peer was asked for are wanted."""
        wanted: list[ReceivedBlock] = []
        duplicates: list[ReceivedBlock] = []
        if (remote := self._remotes.get(peer)) is None:
            return Sorted((), ())
        if any(
            arrival.multihash in remote.told or arrival.multihash in remote.withdrawn for arrival in arrivals
        ):
            remote.on_blocks(now)
        for arrival in arrivals:
            if (want := remote.told.get(arrival.multihash)) is not None:
                self._on_block(want, remote, len(arrival.data), now)
                wanted.append(arrival)
            elif arrival.multihash in remote.withdrawn:
                del remote.withdrawn[arrival.multihash]
                duplicates.append(arrival)
        self._use_room(now)
        return Sorted(tuple(wanted), tuple(duplicates))

    def awaited(self) -> list[str]:
        """Peers that were asked for blocks and are in time; for `chase`, several times a second."""
        return [remote.name for remote in self._remotes.values() if remote.awaited]

    def chase(self, peer: str, now: float) -> None:
        """Time has passed: what that peer is late with is asked of others too."""
        if (remote := self._remotes.get(peer)) is None:
            return
        for key in remote.late(now):
            want = remote.told[key]
            self._be_late(want, remote, now)
            self._advance(want, now)

    def overdue(self, now: float) -> list[CID]:
        """Wants with somebody silent, or with nobody left to ask; for `look`, now and then."""
        return [want.cid for want in self._wants.values() if self._is_due(want, now)]

    def look(self, cid: CID, now: float) -> GivenUp | None:
        """Moves on from peers that are silent about one want; what it came to when it is over."""
        if (want := self._wants.get(cid.multihash)) is None:
            return None
        for peer, ask in tuple(want.asked.items()):
            if self._is_overdue(want, self._remotes[peer], ask, now):
                self._remotes[peer].credit.on_failure(now)
                self._refuse(want, peer, WantRefusal.SILENT)
        self._advance(want, now)
        if not self._is_hopeless(want, now):
            return None
        over = GivenUp(want.cid, self.report(want.cid))
        self._finish(want)
        return over

    def on_tick(self, now: float) -> None:
        """After all wants were looked at: room is used, and hints that led nowhere are forgotten."""
        self._use_room(now)
        self._forget_strangers()

    # One want.

    def _report(self, want: Want, connected: int) -> FetchReport:
        remotes = map(self._remotes.get, want.hints)
        return FetchReport(
            connected=connected,
            holders=len(want.hints),
            holders_connected=sum(remote is not None and remote.connected for remote in remotes),
            outcomes=want.outcomes(),
        )

    def _advance(self, want: Want, now: float) -> bool:
        """Ask whoever is next. False when the want must wait in line."""
        placed = self._ask_next(want, now)
        if placed:
            self._line.discard(want)
        else:
            self._line.add(want)
        if not placed or want.asked:
            want.quiet_since = None
        elif want.quiet_since is None:
            want.quiet_since = now
        return placed

    def _ask_next(self, want: Want, now: float) -> bool:
        if want.awaits_block:
            return True
        known = self._known(want)
        if trusted := [remote for remote in known if not remote.credit.owes(now)]:
            return self._ask_best(want, trusted, max(1, want.late), now)
        want.broad = True
        asked = self._ask_everybody(want, now)
        if known and not want.awaits_debtor:
            return self._ask_best(want, known, 1, now) or bool(want.asked)
        return asked

    def _ask_best(self, want: Want, remotes: Iterable[PeerState], most: int, now: float) -> bool:
        """Ask some of those with room for the block; False when nobody has any."""
        odds, urgent = want.sessions[0].odds, want.late > 0
        free = [remote for remote in remotes if remote.has_room]
        for remote in nsmallest(
            most, free, key=lambda remote: remote.load(odds(remote.name), now, urgent=urgent)
        ):
            self._ask(want, remote, WantType.BLOCK, now)
        return bool(free)

    def _known(self, want: Want) -> list[PeerState]:
        """Peers that probably have it and may be asked for the block."""
        names: Iterable[str] = want.havers
        if not want.havers and not want.broad:
            good = [peer for session in want.sessions for peer in session.peers()]
            names = dict.fromkeys([*want.hints, *good])
        return [self._remote(name) for name in names if self._may_ask(want, name)]

    def _may_ask(self, want: Want, name: str) -> bool:
        ask = want.asked.get(name)
        if name in want.refused or (ask is not None and ask.type is WantType.BLOCK):
            return False
        remote = self._remotes.get(name)
        return name in want.hints or (remote is not None and remote.connected)

    def _ask_everybody(self, want: Want, now: float) -> bool:
        fresh = [
            remote
            for remote in self._remotes.values()
            if remote.connected and remote.name not in want.refused and remote.name not in want.asked
        ]
        if len(fresh) == 1 and not want.asked:
            if fresh[0].has_room:
                self._ask(want, fresh[0], WantType.BLOCK, now)
            return fresh[0].has_room or bool(want.asked)
        free = [remote for remote in fresh if remote.asks < MAX_ASKS]
        free.sort(key=lambda remote: remote.credit.failures)
        for remote in free[: max(0, self._patience.breadth - len(want.asked))]:
            self._ask(want, remote, WantType.HAVE, now)
        return bool(want.asked) or not fresh

    def _ask(self, want: Want, remote: PeerState, kind: WantType, now: float) -> None:
        self._forget_ask(want, remote.name)
        ask = want.asked[remote.name] = Ask(kind, now, doubted=remote.credit.owes(now))
        want.told.add(remote.name)
        remote.on_ask(want, ask)
        self._priority = self._priority - 1 or _TOP_PRIORITY  # earlier wants first, as boxo counts
        remote.tell(want, WantlistEntry(want.cid, kind, self._priority, send_dont_have=True))

    def _forget_ask(self, want: Want, peer: str) -> Ask | None:
        ask = want.asked.pop(peer, None)
        if ask is not None and (remote := self._remotes.get(peer)) is not None:
            remote.on_ask_over(want, ask)
        return ask

    def _refuse(self, want: Want, peer: str, refusal: WantRefusal) -> None:
        self._forget_ask(want, peer)
        if peer in want.havers:
            del want.havers[peer]
            want.broken.add(peer)
        want.refused[peer] = refusal
        for session in want.sessions:
            session.on_miss(peer)

    def _on_presence(self, want: Want, remote: PeerState, have: bool, now: float) -> None:
        remote.heard_at = now
        if (ask := want.asked.get(remote.name)) is not None and (ask.type is WantType.HAVE or not have):
            remote.tempo.on_answer(now - ask.at)
        if not have:
            self._on_dont_have(want, remote, now)
        elif remote.name not in want.havers and remote.name not in want.broken:
            self._on_have(want, remote.name)

    def _on_have(self, want: Want, peer: str) -> None:
        want.refused.pop(peer, None)
        want.havers[peer] = None
        ask = want.asked.get(peer)
        if ask is not None and ask.type is WantType.HAVE:
            self._forget_ask(want, peer)
        for session in want.sessions:
            session.on_hit(peer)

    def _on_dont_have(self, want: Want, remote: PeerState, now: float) -> None:
        if remote.name in want.havers:
            remote.credit.on_failure(now)
        self._refuse(want, remote.name, WantRefusal.DONT_HAVE)

    def _on_block(self, want: Want, sender: PeerState, size: int, now: float) -> None:
        sender.on_block(want.asked.get(sender.name), size, now)
        for session in want.sessions:
            session.on_hit(sender.name)
        self._finish(want, sender)

    def _finish(self, want: Want, sender: PeerState | None = None) -> None:
        """The want is over. Everybody who knows of it hears so, but for the one who sent the block."""
        del self._wants[want.key]
        self._line.discard(want)
        for peer in want.told:
            self._forget_ask(want, peer)
            if (remote := self._remotes.get(peer)) is not None:
                (remote.settle if remote is sender else remote.withdraw)(want)

    # Time and room.

    def _be_late(self, want: Want, remote: PeerState, now: float) -> None:
        """It has blocks, and may be on a slow line: ask others, but keep listening."""
        want.asked[remote.name].late = True
        del remote.awaited[want.key]
        remote.credit.on_failure(now)
        for session in want.sessions:
            session.on_miss(remote.name)

    def _is_due(self, want: Want, now: float) -> bool:
        asks = want.asked.items()
        return self._is_hopeless(want, now) or any(
            self._is_overdue(want, self._remotes[peer], ask, now) for peer, ask in asks
        )

    def _is_hopeless(self, want: Want, now: float) -> bool:
        return want.quiet_since is not None and now - want.quiet_since >= self._patience.newcomer

    def _is_overdue(self, want: Want, remote: PeerState, ask: Ask, now: float) -> bool:
        """Whether it is waited for no longer."""
        if ask.type is WantType.BLOCK and (remote.name in want.havers or remote.heard_at >= 0):
            patience, longest, spoke = (
                self._patience.block,
                10 * self._patience.block,
                remote.tempo.delivered_at,
            )
        else:
            patience, longest, spoke = self._patience.answer, self._patience.block, remote.heard_at
        return now - max(ask.at, spoke) >= patience or now - ask.at >= longest

    def _use_room(self, now: float) -> None:
        """Peers may have become free: let those who wait in line ask."""
        stuck = 0
        while stuck < min(len(self._line), _MAX_TURNS):
            stuck = 0 if self._advance(self._line.turn(), now) else stuck + 1

    def _remote(self, peer: str) -> PeerState:
        remote = self._remotes.get(peer)
        if remote is None:
            remote = self._remotes[peer] = PeerState(peer, self._debts.pop(peer, None))
        return remote

    def _remember(self, remote: PeerState) -> None:
        """Nobody is rid of his debts by connecting again."""
        if remote.credit.failures:
            self._debts[remote.name] = remote.credit

    def _forget_strangers(self) -> None:
        """Hints that were never connected and have nothing left to hear."""
        for remote in tuple(self._remotes.values()):
            if not (remote.connected or remote.told or remote.outbox):
                del self._remotes[remote.name]
