"""One block that we want, and whom we asked for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from bitswap.fetching.session_peers import SessionPeers
from bitswap.message import WantType
from blockstore.cid import CID
from blockstore.fetch_report import FetchOutcome, FetchReport

_MAX_SESSIONS = 8  # that learn from one want


class WantRefusal(Enum):
    """Why a peer is not asked again for this block."""

    DONT_HAVE = "does not have it"
    SILENT = "did not answer"
    UNREACHABLE = "could not be reached"


class WantState(Enum):
    """Whom a want waits for; `wants.py` has the table of what leads from one state to another."""

    AWAITING = "a peer in good standing is to send the block"
    SEARCHING = "peers are to say whether they have it, or are late with it"
    IN_LINE = "the peers to ask are busy"
    QUIET = "no peer is left to ask"


@dataclass(slots=True)
class Ask:
    """A question whose answer is awaited. A late one may still be answered; others are asked meanwhile.

    `doubted`: the peer owed blocks when it was asked, so that others are asked as soon as they say HAVE.
    `number`: of blocks asked of that peer; `alone`: whether it had no other to send.
    """

    type: WantType
    at: float
    doubted: bool = False
    number: int = 0
    alone: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A want that no peer could satisfy."""

    cid: CID
    report: FetchReport


@dataclass(slots=True, eq=False, repr=False)
class Want:
    """A block wanted by one or more sessions. The same bytes under another codec are the same want.

    `informed`: peers that know of it. `broken`: those that said HAVE and then did not send it. `broad`: the
    peers known to be good have failed, so all are asked. `quiet_since`: since when no peer is left to ask.
    """

    cid: CID
    sessions: list[SessionPeers]
    hints: dict[str, None]
    asked: dict[str, Ask] = field(default_factory=dict)
    informed: set[str] = field(default_factory=set)
    refused: dict[str, WantRefusal] = field(default_factory=dict)
    havers: dict[str, None] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    broad: bool = False
    quiet_since: float | None = None

    def __repr__(self) -> str:
        asked = ", ".join(
            f"{peer} {ask.type.name}{' late' if ask.late else ''}" for peer, ask in self.asked.items()
        )
        refused = ", ".join(f"{peer} {refusal.value}" for peer, refusal in self.refused.items())
        return f"<Want {self.cid}: asked {asked or 'no peer'}; {refused or 'no refusal'}>"

    @property
    def key(self) -> bytes:
        return self.cid.multihash

    @property
    def awaits_block(self) -> bool:
        """Whether a peer that owes nothing was asked for the block itself and is still in time."""
        return any(
            ask.type is WantType.BLOCK and not (ask.late or ask.doubted) for ask in self.asked.values()
        )

    @property
    def awaits_debtor(self) -> bool:
        """Whether any peer at all was asked for the block and is still in time."""
        return any(ask.type is WantType.BLOCK and not ask.late for ask in self.asked.values())

    def state(self, *, in_line: bool) -> WantState:
        """`in_line`: whether it waits for room at the peers that are to be asked."""
        if in_line:
            return WantState.IN_LINE
        if self.awaits_block:
            return WantState.AWAITING
        return WantState.SEARCHING if self.asked else WantState.QUIET

    @property
    def late(self) -> int:
        """How many of the peers that were asked for the block are late with it."""
        return sum(ask.late for ask in self.asked.values())

    def join(self, session: SessionPeers, hints: Iterable[str]) -> None:
        """Another caller wants it too; peers that it hints at are asked before all others."""
        if session not in self.sessions and len(self.sessions) < _MAX_SESSIONS:
            self.sessions.append(session)
        new = [peer for peer in hints if peer not in self.hints]
        self.hints.update(dict.fromkeys(new))
        self.broad = self.broad and not new

    def refuse(self, peer: str, refusal: WantRefusal) -> None:
        """That peer is not asked again for this block, and the sessions learn so."""
        if peer in self.havers:
            del self.havers[peer]
            self.broken.add(peer)
        self.refused[peer] = refusal
        for session in self.sessions:
            session.on_miss(peer)

    def leave_out(self, peer: str) -> None:
        """That peer is gone, and what it said with it."""
        self.asked.pop(peer, None)
        self.informed.discard(peer)
        self.havers.pop(peer, None)
        self.refused.pop(peer, None)
        self.broken.discard(peer)

    def outcomes(self) -> tuple[FetchOutcome, ...]:
        """What each peer that was asked has said."""
        said = (_OUTCOMES[refusal] for refusal in self.refused.values())
        return (*said, *(FetchOutcome.WAITING for _ in self.asked))


_OUTCOMES = {
    WantRefusal.DONT_HAVE: FetchOutcome.LACKING,
    WantRefusal.SILENT: FetchOutcome.SILENT,
    WantRefusal.UNREACHABLE: FetchOutcome.UNREACHABLE,
}
