"""Balanced allocation (ipfs-cluster's): which members hold a pin. Pure: the same facts give the same members.

1. A pin for everywhere names no member.
2. A member is *live* while its ping is valid. A *candidate* is live, is not being drained, has a valid metric
   for every name in `allocate_by`, and has room for the pin: its free space is known to be at least its size.
3. First come the user's wishes that are candidates, or that hold the pin already and are live.
4. Then the members that hold the pin now. As long as at least the minimum of them are live, absent ones keep
   their place too, so that a short outage moves nothing; below the minimum only the live ones stay.
   When there are more than the maximum, absent ones go first, then drained ones, then those that add least to
   the spread. Draining moves what is kept: here it only keeps new pins away.
5. Then the `priority` members, who have the data already and so need no room for it, and then the other
   candidates, until there are as many as the maximum asks for.
6. Fewer than the minimum: NotEnoughPeers, with the reason.

Ranking (ipfs-cluster's balanced allocator): partition by the first metric, a partitionable one (a tag) by
equal value, any other one each member by itself. Sort the partitions: larger weight, then larger sum of the
next metric over its members, then value. Take one member of each partition in turn; inside a partition, do
the same with the next metric. Unlike there, members chosen before (steps 3 and 4) count: the next one comes
from the partition that has the fewest.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cluster.errors import NotEnoughPeers
from cluster.metrics.metric_store import FREESPACE, PING, Metric
from cluster.pin import EVERYWHERE, PinOptions

Table = Mapping[str, Mapping[str, Metric]]
"""Valid metrics: name, then peer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationFacts:
    """What an allocation goes by: a pin of `size` bytes (0 = unknown), the members, and what they say.

    `current` are the pin's allocations so far, `priority` those who have its data, `drained` members take no
    new pins. Replication is -1 or min <= max.
    """

    options: PinOptions
    members: Sequence[str]
    metrics: Iterable[Metric]
    now: float
    allocate_by: Sequence[str] = (FREESPACE,)
    size: int = 0
    current: Sequence[str] = ()
    priority: Sequence[str] = ()
    drained: frozenset[str] = frozenset()


def allocate(facts: AllocationFacts) -> tuple[str, ...]:
    """The members to hold the pin, most wanted first; () = everywhere. Raises NotEnoughPeers."""
    options = facts.options
    if options.replication_max == EVERYWHERE:
        return ()
    candidates = _candidates(facts)
    chosen = _in_order(candidates, facts)
    if len(chosen) < options.replication_min:
        raise NotEnoughPeers(
            options.replication_min, options.replication_max, len(chosen), candidates.why_not(chosen)
        )
    return tuple([*chosen][: options.replication_max])


def further(facts: AllocationFacts) -> tuple[str, ...]:
    """Candidates that are to hold the pin beside `current`, all of whom stay; up to its maximum, or fewer."""
    candidates, current = _candidates(facts), facts.current
    wishes = [peer for peer in dict.fromkeys(facts.options.user_allocations) if peer in candidates.eligible]
    wishes = [peer for peer in wishes if peer not in current]
    chosen = [*current, *wishes]
    others = candidates.ranked(candidates.eligible.difference(chosen), chosen)
    return tuple([*wishes, *others][: max(0, facts.options.replication_max - len(current))])


def eligible(facts: AllocationFacts) -> frozenset[str]:
    """Members that could take a pin of that size."""
    return _candidates(facts).eligible


def why_not(facts: AllocationFacts) -> str:
    """Why members beside `current` are no candidates: counts by reason."""
    return _candidates(facts).why_not(facts.current)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a member is to hold a pin, why or why not, and the metrics that this went by."""

    peer: str
    holds: bool
    reason: str
    metrics: Mapping[str, str]


def judge(facts: AllocationFacts) -> tuple[Judgement, ...]:
    """Of every member, why `allocate` takes it or does not; those that are taken first, most wanted first."""
    candidates, members = _candidates(facts), facts.members
    if facts.options.replication_max == EVERYWHERE:
        return tuple(candidates.judged(peer, True, "every member holds it") for peer in members)
    chosen = _in_order(candidates, facts)
    taken = [*chosen][: facts.options.replication_max]
    found = [candidates.judged(peer, True, chosen[peer]) for peer in taken]
    enough = f"not needed: {len(taken)} others go before it"
    for peer in [*[*chosen][len(taken) :], *(peer for peer in members if peer not in chosen)]:
        found.append(candidates.judged(peer, False, enough if peer in chosen else candidates.lack(peer)))
    return tuple(found)


def _in_order(candidates: _Candidates, facts: AllocationFacts) -> dict[str, str]:
    """All that could hold it, most wanted first, and what puts each at its place."""
    options, current, priority = facts.options, facts.current, facts.priority
    wishes = candidates.wished(options.user_allocations, current, priority)
    chosen = dict.fromkeys(wishes, "asked for by the wish")
    rest = [peer for peer in current if peer not in chosen]
    chosen |= dict.fromkeys(candidates.kept(rest, [*chosen], options), "holds it already")
    here = candidates.ranked(set(priority) - facts.drained - chosen.keys(), chosen)
    chosen |= dict.fromkeys(here, "has the data already")
    others = candidates.ranked(candidates.eligible - chosen.keys(), chosen)
    return chosen | dict.fromkeys(others, f"comes next by {', '.join(candidates.names)}")


def _candidates(facts: AllocationFacts) -> _Candidates:
    table = _table(facts.metrics, facts.now)
    return _Candidates(facts.members, table, tuple(facts.allocate_by), facts.size, facts.drained)


def _table(metrics: Iterable[Metric], now: float) -> Table:
    table: dict[str, dict[str, Metric]] = {}
    for metric in metrics:
        if metric.valid(now):
            table.setdefault(metric.name, {})[metric.peer] = metric
    return table


@dataclass(frozen=True, slots=True)
class _Candidates:
    """All members, and what is known of them; `names` are the metrics that the choice goes by."""

    members: Sequence[str]
    table: Table
    names: tuple[str, ...]
    size: int
    drained: frozenset[str]

    @property
    def live(self) -> frozenset[str]:
        return frozenset(self.table.get(PING, {})) & frozenset(self.members)

    @property
    def eligible(self) -> frozenset[str]:
        """Those of step 2."""
        return frozenset(peer for peer in self.live if not self._lack(peer, self.size))

    def wished(self, wishes: Sequence[str], current: Sequence[str], priority: Sequence[str]) -> list[str]:
        welcome = self.eligible | (self.live & {*current, *(set(priority) - self.drained)})
        return [peer for peer in dict.fromkeys(wishes) if peer in welcome]

    def kept(self, current: Sequence[str], chosen: Sequence[str], options: PinOptions) -> list[str]:
        """Which of the current holders stay, in their order."""
        current = [peer for peer in dict.fromkeys(current) if peer in self.members]
        live = [peer for peer in current if peer in self.live]
        absent = [peer for peer in current if peer not in self.live]
        if len(chosen) + len(live) < options.replication_min:
            absent = []
        room = options.replication_max - len(chosen)
        if len(live) > room:
            drained = self.drained.intersection(live)
            live = [*self.ranked({*live} - drained, chosen), *self.ranked(drained, chosen)][:room]
        stay = {*live, *absent[: max(0, room - len(live))]}
        return [peer for peer in current if peer in stay]

    def ranked(self, peers: Iterable[str], chosen: Collection[str]) -> list[str]:
        """Those of `peers` that are live, in the balanced order."""
        return list(_balanced(sorted(self.live & set(peers)), self.names, self.table, frozenset(chosen)))

    def why_not(self, chosen: Collection[str]) -> str:
        """Why the other members were not taken: counts by reason."""
        reasons = Counter(self.lack(peer) for peer in self.members if peer not in chosen)
        return "; ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))

    def lack(self, peer: str) -> str:
        """What keeps a member from holding the pin; empty when nothing does."""
        return self._lack(peer, self.size) if peer in self.live else "not heard from lately"

    def judged(self, peer: str, holds: bool, reason: str) -> Judgement:
        found = {
            name: self.table[name][peer].value for name in self.names if peer in self.table.get(name, {})
        }
        return Judgement(peer, holds, reason, found)

    def _lack(self, peer: str, size: int) -> str:
        """What keeps a live member from being a candidate; empty when nothing does."""
        if peer in self.drained:
            return "being drained"
        for name in self.names:
            if peer not in self.table.get(name, {}):
                return f'without metric "{name}"'
        free = self.table.get(FREESPACE, {}).get(peer)
        if free is not None and free.weight < max(size, 1):
            return f"without room for {size} bytes" if size else "without free space"
        return ""


@dataclass(frozen=True, slots=True)
class _Partition:
    value: str
    weight: int
    below: int  # sum of the next metric's weights
    peers: tuple[str, ...]
    taken: frozenset[str]  # members chosen before that belong to it

    @property
    def order(self) -> tuple[int, int, str, tuple[str, ...]]:
        return (-self.weight, -self.below, self.value, self.peers)


def _balanced(
    peers: Sequence[str], names: Sequence[str], table: Table, chosen: frozenset[str]
) -> Iterator[str]:
    """One of each partition in turn, those with the fewest members taken first."""
    if not names:
        yield from peers
        return
    partitions = sorted(_partitions(peers, names, table, chosen), key=lambda one: one.order)
    queues = [_balanced(one.peers, names[1:], table, one.taken) for one in partitions]
    turns = [(len(one.taken), position) for position, one in enumerate(partitions)]
    heapq.heapify(turns)
    while turns:
        taken, position = heapq.heappop(turns)
        peer = next(queues[position], None)
        if peer is not None:
            yield peer
            heapq.heappush(turns, (taken + 1, position))


def _partitions(
    peers: Sequence[str], names: Sequence[str], table: Table, chosen: frozenset[str]
) -> Iterator[_Partition]:
    metrics = table.get(names[0], {})
    following = table.get(names[1], {}) if len(names) > 1 else {}
    groups: dict[tuple[str, str], list[str]] = {}
    for peer in peers:
        groups.setdefault(_group(peer, metrics.get(peer)), []).append(peer)
    for key, group in groups.items():
        weight = max((metrics[peer].weight for peer in group if peer in metrics), default=0)
        below = sum(following[peer].weight for peer in group if peer in following)
        taken = frozenset(peer for peer in chosen if _group(peer, metrics.get(peer)) == key)
        yield _Partition(key[0], weight, below, tuple(group), taken)


def _group(peer: str, metric: Metric | None) -> tuple[str, str]:
    """The partition of a member: its tag's value, or itself."""
    if metric is None:
        return ("", peer)
    return (metric.value, "" if metric.partitionable else peer)
