"""An iterative look-up of the peers nearest to a key. Pure: answers and a time in, peers to ask out.

As in Kademlia, the nearest peers that are known are asked for nearer ones, until the nearest `nearest` that
live have all answered. Beyond that, against peers that lie or are gone:

- a peer that is silent for `late` seconds holds up neither the next question nor the end;
- what only peers name that named mostly dead ones before is asked last, and not waited for;
- of the nearest, `crowd` at most count of one range of addresses;
- `most_asked` peers are asked at most, and of one answer `of_one` peers are looked at.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import islice

from cluster.errors import BadAddress
from node.routing.kad.address_group import groups_of
from node.routing.kad.keys import peer_key
from node.routing.router import Provider

_MOST_KNOWN = 1024  # peers that one look-up keeps
_DEAD = 3  # that a peer may name before its word is doubted, where they outnumber the living


@dataclass(frozen=True, slots=True)
class LookupRules:
    """How a look-up goes; the defaults are those of the Amino DHT's clients."""

    nearest: int = 20
    at_once: int = 10
    late: float = 2.0
    most_asked: int = 150
    of_one: int = 20
    crowd: int = 5


class _State(Enum):
    KNOWN = auto()
    ASKED = auto()
    ANSWERED = auto()
    FAILED = auto()


@dataclass(slots=True, eq=False)
class _Candidate:
    """A peer that was named, and how it stands."""

    peer: Provider
    distance: int
    groups: frozenset[str]
    state: _State = _State.KNOWN
    asked_at: float = 0.0
    named_by: set[str] = field(default_factory=set)  # empty: we knew it before


class Lookup:
    """`accepts` says whether a peer that was named can be asked at all."""

    def __init__(
        self,
        target: int,
        seeds: Iterable[Provider],
        accepts: Callable[[Provider], bool] = lambda peer: True,
        rules: LookupRules | None = None,
    ) -> None:
        self._target = target
        self._accepts = accepts
        self._rules = rules or LookupRules()
        self._known: dict[str, _Candidate] = {}
        self._order: list[_Candidate] = []  # nearest first
        self._waiting: dict[str, _Candidate] = {}  # asked, and neither answered nor failed
        self._dead: Counter[str] = Counter()
        self._alive: Counter[str] = Counter()
        self.asked = 0
        for seed in seeds:
            self._learn(seed, "")

    def __repr__(self) -> str:
        states = Counter(one.state.name.lower() for one in self._order)
        return f"<Lookup: {', '.join(f'{count} {state}' for state, count in sorted(states.items()))}>"

    def ask(self, now: float) -> list[Provider]:
        """Peers to ask now; they count as asked."""
        room = self._rules.at_once - sum(1 for _ in self._in_time(now))
        room = min(room, self._rules.most_asked - self.asked)
        chosen = [one for one in self._counting(now) if one.state is _State.KNOWN][: max(0, room)]
        for one in chosen:
            one.state, one.asked_at = _State.ASKED, now
            self._waiting[one.peer.peer] = one
        self.asked += len(chosen)
        return [one.peer for one in chosen]

    def answered(self, peer: str, closer: Sequence[Provider]) -> None:
        """That peer has answered, and named these."""
        candidate = self._waiting.pop(peer)
        candidate.state = _State.ANSWERED
        self._alive.update(candidate.named_by)
        for named in closer[: self._rules.of_one]:
            self._learn(named, peer)

    def failed(self, peer: str) -> None:
        """That peer could not be asked, or gave no proper answer."""
        candidate = self._waiting.pop(peer)
        candidate.state = _State.FAILED
        if len(candidate.named_by) == 1:  # what several say of a peer that has just gone is no lie
            self._dead.update(candidate.named_by)

    def is_over(self, now: float) -> bool:
        """Whether the nearest have answered, or none is left to ask."""
        counting = self._counting(now)
        waiting = any(one.state is _State.ASKED for one in counting)
        askable = self.asked < self._rules.most_asked and any(one.state is _State.KNOWN for one in counting)
        return not waiting and not askable

    def next_look(self, now: float) -> float:
        """Seconds until a peer that is asked is late; infinite when none will be."""
        return min(
            (one.asked_at + self._rules.late - now for one in self._in_time(now)), default=float("inf")
        )

    def nearest(self) -> list[Provider]:
        """Those of the nearest that have answered, nearest first."""
        answered = [one.peer for one in self._order if one.state is _State.ANSWERED]
        return answered[: self._rules.nearest]

    def _learn(self, peer: Provider, named_by: str) -> None:
        known = self._known.get(peer.peer)
        if known is not None:
            if known.named_by:
                known.named_by.add(named_by)
            return
        if not self._accepts(peer):
            return
        try:
            distance = self._target ^ peer_key(peer.peer)
        except BadAddress:
            return
        made = _Candidate(peer, distance, groups_of(peer), named_by={named_by} if named_by else set())
        self._known[peer.peer] = made
        insort(self._order, made, key=lambda one: one.distance)
        self._forget_far()

    def _forget_far(self) -> None:
        """The list stays bounded: of those that were never asked the farthest goes."""
        if len(self._order) > _MOST_KNOWN:
            far = next((one for one in reversed(self._order) if one.state is _State.KNOWN), self._order[-1])
            self._order.remove(far)
            del self._known[far.peer.peer]

    def _in_time(self, now: float) -> Iterator[_Candidate]:
        return (one for one in self._waiting.values() if not self._is_late(one, now))

    def _is_late(self, one: _Candidate, now: float) -> bool:
        return now - one.asked_at >= self._rules.late

    def _counting(self, now: float) -> list[_Candidate]:
        """The nearest that answered, are asked in time, or may be asked; doubted ones where no others are."""
        believed = (one for one in self._usable(now) if not self._is_doubted(one))
        found = list(self._spread(believed))
        if len(found) == self._rules.nearest:
            return found
        counted = {one.peer.peer for one in found}
        rest = (one for one in self._usable(now) if one.peer.peer not in counted)
        return [*found, *islice(rest, self._rules.nearest - len(found))]

    def _usable(self, now: float) -> Iterator[_Candidate]:
        for one in self._order:
            late = one.state is _State.ASKED and self._is_late(one, now)
            if one.state is not _State.FAILED and not late:
                yield one

    def _spread(self, candidates: Iterable[_Candidate]) -> Iterator[_Candidate]:
        """The first `nearest` of them, `crowd` at most of one range of addresses."""
        crowds: Counter[str] = Counter()
        left = self._rules.nearest
        for one in candidates:
            if all(crowds[group] < self._rules.crowd for group in one.groups):
                crowds.update(one.groups)
                left -= 1
                yield one
            if not left:
                return

    def _is_doubted(self, one: _Candidate) -> bool:
        if one.state is _State.ANSWERED or not one.named_by:
            return False
        return all(
            self._dead[peer] >= _DEAD and self._dead[peer] > 2 * self._alive[peer] for peer in one.named_by
        )
