"""What we want, from whom, and what to send next. Pure: events and a time in, wantlist entries out.

For each want, in this order:
1. Peers known to be good, by hint or because they had other blocks of the DAG: the best one with room is
   asked for the block (WANT_BLOCK). When all of them are busy, the want waits in line.
2. When the first of them refuses: everybody who is connected is asked whether he has it (WANT_HAVE), at most
   `breadth` at a time; a lone peer is asked for the block at once. Who says HAVE is asked for the block.
3. DONT_HAVE, silence and disconnection move on to the next peer. A peer that connects is asked too.
4. When nobody is left to ask for `patience` seconds, the want is given up, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from bitswap.arrivals import Arrival
from bitswap.line import Line
from bitswap.message import Entry, Presence, WantType
from bitswap.remote import MAX_ASKS, Remote
from bitswap.session import Session
from bitswap.want import Ask, GivenUp, Refusal, Want
from blockstore.cid import CID
from blockstore.inquiry import Inquiry

_MAX_HINTS = 16  # peers a want is asked of by hint
_MAX_TURNS = 32  # sessions looked at when room appears
_TOP_PRIORITY = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds, and how many peers to ask at once.

    `answer`: for a peer that was asked and sends nothing. `block`: for one that says it has the block and
    does not send it. `newcomer`: for a new peer when all have refused. `breadth`: peers asked for one block.
    """

    answer: float = 8.0
    block: float = 45.0
    newcomer: float = 10.0
    breadth: int = 64


@dataclass(frozen=True, slots=True)
class Sorted:
    """Blocks that were asked for, and those that come after they were. All others are unsolicited."""

    wanted: tuple[Arrival, ...]
    duplicates: tuple[Arrival, ...]


class Wants:
    def __init__(self, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._wants: dict[bytes, Want] = {}
        self._remotes: dict[str, Remote] = {}
        self._line = Line()
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

    def inquiry(self, cid: CID) -> Inquiry:
        """Where one want stands, in counts; without one, who could be asked."""
        connected = sum(remote.connected for remote in self._remotes.values())
        want = self._wants.get(cid.multihash)
        return Inquiry(connected=connected) if want is None else self._inquiry(want, connected)

    def expects(self, peer: str) -> bool:
        """Whether a block from that peer can be anything but unsolicited."""
        remote = self._remotes.get(peer)
        return remote is not None and bool(remote.told or remote.withdrawn)

    # What to send.

    def dirty(self) -> tuple[str, ...]:
        """Peers that have something to hear."""
        return tuple(remote.name for remote in self._remotes.values() if remote.outbox)

    def take(self, peer: str, most: int = 2048) -> tuple[Entry, ...]:
        """What to tell that peer now; what is returned counts as sent."""
        remote = self._remotes.get(peer)
        return remote.take(most) if remote is not None else ()

    # Events.

    def add(self, cid: CID, session: Session, hints: Iterable[str], now: float) -> None:
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
        self._remote(peer).connected = True
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
            again = self._remote(peer)
            again.connected, again.failures = True, remote.failures
            again.on_failure(now)
        for want in remote.told.values():
            want.leave_out(peer)
            want.refused[peer] = Refusal.UNREACHABLE
        for want in remote.told.values():
            self._advance(want, now)
        self._use_room(now)

    def on_presences(self, peer: str, presences: Sequence[Presence], now: float) -> None:
        """HAVE and DONT_HAVE; those about what the peer was not asked are ignored."""
        for presence in presences:
            want = self._wants.get(presence.cid.multihash)
            if want is not None and peer in want.told:
                self._remotes[peer].heard_at = now
                (self._on_have if presence.have else self._on_dont_have)(want, peer)
                self._advance(want, now)
        self._use_room(now)

    def on_blocks(self, peer: str, arrivals: Sequence[Arrival], now: float) -> Sorted:
        """Verified blocks; only those this peer was asked for are wanted."""
        wanted: list[Arrival] = []
        duplicates: list[Arrival] = []
        remote = self._remotes.get(peer)
        for arrival in arrivals:
            want = self._wants.get(arrival.multihash)
            if remote is not None and want is not None and peer in want.told:
                self._on_block(want, remote, len(arrival.data), now)
                wanted.append(arrival)
            elif remote is not None and arrival.multihash in remote.withdrawn:
                del remote.withdrawn[arrival.multihash]
                duplicates.append(arrival)
        self._use_room(now)
        return Sorted(tuple(wanted), tuple(duplicates))

    def on_tick(self, now: float) -> list[GivenUp]:
        """Time has passed: moves on from silent peers; returns the wants that are over."""
        for want in list(self._wants.values()):
            if self._has_silence(want, now):
                self._advance(want, now)
        hopeless = [
            want
            for want in self._wants.values()
            if want.quiet_since is not None and now - want.quiet_since >= self._patience.newcomer
        ]
        over = [GivenUp(want.cid, self.inquiry(want.cid)) for want in hopeless]
        for want in hopeless:
            self._finish(want)
        self._use_room(now)
        self._forget_strangers()
        return over

    # One want.

    def _inquiry(self, want: Want, connected: int) -> Inquiry:
        remotes = map(self._remotes.get, want.hints)
        return Inquiry(
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
        if known := self._known(want):
            free = [remote for remote in known if remote.has_room]
            if free:
                odds = want.sessions[0].odds
                best = min(free, key=lambda remote: remote.load(odds(remote.name)))
                self._ask(want, best, WantType.BLOCK, now)
            return bool(free)
        want.broad = True
        return self._ask_everybody(want, now)

    def _known(self, want: Want) -> list[Remote]:
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
        free.sort(key=lambda remote: remote.failures)
        for remote in free[: max(0, self._patience.breadth - len(want.asked))]:
            self._ask(want, remote, WantType.HAVE, now)
        return bool(want.asked) or not fresh

    def _ask(self, want: Want, remote: Remote, kind: WantType, now: float) -> None:
        self._forget_ask(want, remote.name)
        want.asked[remote.name] = Ask(kind, now)
        want.told.add(remote.name)
        remote.asks += 1
        remote.blocks_in_flight += kind is WantType.BLOCK
        self._priority = self._priority - 1 or _TOP_PRIORITY  # earlier wants first, as boxo counts
        remote.tell(want, Entry(want.cid, kind, self._priority, send_dont_have=True))

    def _forget_ask(self, want: Want, peer: str) -> None:
        ask = want.asked.pop(peer, None)
        remote = self._remotes.get(peer)
        if ask is not None and remote is not None:
            remote.asks -= 1
            remote.blocks_in_flight -= ask.type is WantType.BLOCK

    def _refuse(self, want: Want, peer: str, refusal: Refusal) -> None:
        self._forget_ask(want, peer)
        want.havers.pop(peer, None)
        want.refused[peer] = refusal
        for session in want.sessions:
            session.on_miss(peer)

    def _on_have(self, want: Want, peer: str) -> None:
        want.refused.pop(peer, None)
        want.havers[peer] = None
        ask = want.asked.get(peer)
        if ask is not None and ask.type is WantType.HAVE:
            self._forget_ask(want, peer)
        for session in want.sessions:
            session.on_hit(peer)

    def _on_dont_have(self, want: Want, peer: str) -> None:
        self._refuse(want, peer, Refusal.DONT_HAVE)

    def _on_block(self, want: Want, sender: Remote, size: int, now: float) -> None:
        sender.on_block(size, now)
        for session in want.sessions:
            session.on_hit(sender.name)
        self._finish(want, sender)

    def _finish(self, want: Want, sender: Remote | None = None) -> None:
        """The want is over. Everybody who knows of it hears so, but for the one who sent the block."""
        del self._wants[want.key]
        self._line.discard(want)
        for peer in want.told:
            self._forget_ask(want, peer)
            if (remote := self._remotes.get(peer)) is not None:
                (remote.settle if remote is sender else remote.withdraw)(want)

    # Time and room.

    def _has_silence(self, want: Want, now: float) -> bool:
        """Marks the peers that are late with this want; whether another one should be asked."""
        changed = False
        for peer, ask in tuple(want.asked.items()):
            changed |= self._is_overdue(want, self._remotes[peer], ask, now)
        return changed

    def _is_overdue(self, want: Want, remote: Remote, ask: Ask, now: float) -> bool:
        age, silent = now - ask.at, now - max(ask.at, remote.heard_at)
        if ask.late:
            if silent < self._patience.block and age < 10 * self._patience.block:
                return False
            self._refuse(want, remote.name, Refusal.SILENT)
            return True
        if silent < self._patience.answer and age < self._patience.block:
            return False
        remote.on_failure(now)
        if ask.type is WantType.BLOCK and (remote.heard_at > 0 or remote.name in want.havers):
            ask.late = True  # it has blocks, and may be on a slow line: ask others, but keep listening
        else:
            self._refuse(want, remote.name, Refusal.SILENT)
        return True

    def _use_room(self, now: float) -> None:
        """Peers may have become free: let those who wait in line ask."""
        stuck = 0
        while stuck < min(len(self._line), _MAX_TURNS):
            stuck = 0 if self._advance(self._line.turn(), now) else stuck + 1

    def _remote(self, peer: str) -> Remote:
        remote = self._remotes.get(peer)
        if remote is None:
            remote = self._remotes[peer] = Remote(peer)
        return remote

    def _forget_strangers(self) -> None:
        """Hints that were never connected and have nothing left to hear."""
        for remote in tuple(self._remotes.values()):
            if not (remote.connected or remote.told or remote.outbox):
                del self._remotes[remote.name]
