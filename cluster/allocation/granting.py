"""Wishes become pins, a group at a time: one look at what is pinned and at the metrics, one durable write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from blockstore.cid import CID
from cluster.allocation.allocator import Judgement
from cluster.allocation.ownership import claimed, is_shared, released, shared, unclaimed
from cluster.allocation.pin_options import check_size, merged, options_for_update, resolve_options
from cluster.allocation.placement import Placement, Situation
from cluster.common.cooperative import TimeSlice
from cluster.common.keyed_lock import KeyedLock
from cluster.context import ClusterContext
from cluster.errors import BadUpdate, ClusterError, NotOwned, NotPinned
from cluster.pin import GrantAsk, GrantResult, Pin

_Known = Mapping[CID, Pin | ClusterError | None]
_NOTHING_KNOWN: _Known = {}


@dataclass(frozen=True, slots=True)
class PinPlan:
    """What would come of a wish, and each member's part in it, holders first."""

    result: GrantResult
    members: tuple[Judgement, ...]


class Granting:
    """Decides what becomes of wishes. `locks` are held by whatever reads a pin and writes what follows."""

    def __init__(self, context: ClusterContext, placement: Placement, locks: KeyedLock) -> None:
        self._context = context
        self._pinset = context.pinset
        self._placement = placement
        self._locks = locks

    async def grant_many(self, asks: Sequence[GrantAsk]) -> list[GrantResult | ClusterError]:
        """What came of each, in order: asks for one CID as if they came one after the other.

        An identical pin is not written again. Raises ReadOnlyMember, and what the disk raises.
        """
        self._pinset.check_writable()
        answers: dict[int, GrantResult | ClusterError] = {}
        for turn in _turns(asks):
            answers.update(zip(turn, await self._grant([asks[index] for index in turn]), strict=True))
        return [answers[index] for index in range(len(asks))]

    async def plan_many(self, asks: Sequence[GrantAsk]) -> list[GrantResult | ClusterError]:
        """What `grant_many` would make of each by itself; nothing is written."""
        return await self._planned(asks, await self._known({ask.cid for ask in asks} | _sources(asks)))

    async def plan(self, ask: GrantAsk) -> PinPlan:
        """What would come of one, and why each member would hold it or not; nothing is written.

        Raises what `grant_many` gives in place of a result.
        """
        (result,) = await self.plan_many([ask])
        if isinstance(result, ClusterError):
            raise result
        before = result.before.allocations if result.before else ()
        judgements = self._placement.situation().judge(
            result.pin.options, current=before, priority=ask.priority_peers, size=result.pin.size
        )
        return PinPlan(result, tuple(_as_planned(one, result.pin) for one in judgements))

    async def remove_many(self, cids: Sequence[CID]) -> list[Pin | ClusterError]:
        """The pins as they were; NotPinned where there was none. Raises ReadOnlyMember."""
        self._pinset.check_writable()
        async with self._locks.of(*cids):
            return await self._pinset.remove_many(cids)

    async def release_many(
        self, cids: Sequence[CID], owner: str, requests_at: str = ""
    ) -> list[Pin | ClusterError]:
        """The pins as they were; they are gone where no other owner keeps them (`ownership.released`).

        NotPinned and NotOwned in place of a pin. Raises ReadOnlyMember.
        """
        self._pinset.check_writable()
        async with self._locks.of(*cids):
            known = await self._known(cids)
            left = {cid: _left(known[cid], owner, requests_at) for cid in cids}
            refused = await self._written(left)
        return [refused.get(cid) or known[cid] or NotPinned() for cid in cids]

    async def _written(self, left: Mapping[CID, Pin | ClusterError | None]) -> dict[CID, ClusterError]:
        """Pins as they are to be, None for those that go; what kept any of them from it."""
        stay = [one for one in left.values() if isinstance(one, Pin)]
        gone = [cid for cid, one in left.items() if one is None]
        kept = await self._pinset.put_many(stay) if stay else []
        removed = await self._pinset.remove_many(gone) if gone else []
        came = {**left, **dict(zip((pin.cid for pin in stay), kept, strict=True))}
        came |= dict(zip(gone, removed, strict=True))
        return {cid: one for cid, one in came.items() if isinstance(one, ClusterError)}

    async def _grant(self, asks: Sequence[GrantAsk]) -> list[GrantResult | ClusterError]:
        """Of different CIDs. Most are not pinned yet, so that is found out by writing them."""
        async with self._locks.of(*(ask.cid for ask in asks)):
            if sources := _sources(asks):
                return await self._change(asks, await self._known({ask.cid for ask in asks} | sources))
            plans = await self._planned(asks, _NOTHING_KNOWN)
            new = {plan.pin.cid: plan.pin for plan in plans if isinstance(plan, GrantResult)}
            found = dict(zip(new, await self._pinset.put_new_many([*new.values()]), strict=True))
            known = {cid: pin for cid, pin in found.items() if isinstance(pin, Pin)}
            rest = [ask for ask in asks if ask.cid not in new or found[ask.cid] is not None]
            changed = await self._change_rest(rest, known) if rest else {}
        return [changed.get(ask.cid, plan) for ask, plan in zip(asks, plans, strict=True)]

    async def _change_rest(
        self, asks: Sequence[GrantAsk], known: Mapping[CID, Pin]
    ) -> dict[CID, GrantResult | ClusterError]:
        """Those that are pinned; and what was refused of those of which that is not known yet."""
        unknown = [ask.cid for ask in asks if ask.cid not in known]
        every = {**known, **(await self._known(unknown) if unknown else {})}
        return dict(zip((ask.cid for ask in asks), await self._change(asks, every), strict=True))

    async def _change(self, asks: Sequence[GrantAsk], known: _Known) -> list[GrantResult | ClusterError]:
        """Of different CIDs, whose pins are known."""
        plans = await self._planned(asks, known)
        new = [plan.pin for plan in plans if isinstance(plan, GrantResult) and plan.pin is not plan.before]
        errors = await self._pinset.put_many(new) if new else []
        refused = {pin.cid: error for pin, error in zip(new, errors, strict=True) if error is not None}
        return [refused.get(ask.cid, plan) for ask, plan in zip(asks, plans, strict=True)]

    async def _known(self, cids: Iterable[CID]) -> _Known:
        """The pins as they are; one that cannot be read is no trouble of the others."""
        wanted = list(cids)
        try:
            return dict(zip(wanted, await self._pinset.get_many(wanted), strict=True))
        except BadUpdate:
            return {cid: await self._one(cid) for cid in wanted}

    async def _one(self, cid: CID) -> Pin | ClusterError | None:
        try:
            return await self._pinset.get(cid)
        except BadUpdate as error:
            return error

    async def _planned(self, asks: Sequence[GrantAsk], known: _Known) -> list[GrantResult | ClusterError]:
        situation, now, time_slice = self._placement.situation(), self._context.now(), TimeSlice()
        plans: list[GrantResult | ClusterError] = []
        for ask in asks:
            try:
                plans.append(self._plan(ask, known, situation, now))
            except ClusterError as error:
                plans.append(error)
            if time_slice.is_due:
                await time_slice.rest()
        return plans

    def _plan(self, ask: GrantAsk, known: _Known, situation: Situation, now: float) -> GrantResult:
        existing = _sound(known.get(ask.cid))
        pin = self._wished(ask, existing, known, situation, now)
        unchanged = existing is not None and pin._replace(created=existing.created) == existing
        return GrantResult(existing if unchanged and existing else pin, existing)

    def _wished(
        self, ask: GrantAsk, existing: Pin | None, known: _Known, situation: Situation, now: float
    ) -> Pin:
        wish, settings = ask.wish, self._context.settings
        if wish.options.pin_update is not None and ask.created is None:
            source = _sound(known[wish.options.pin_update])
            if source is None:
                raise NotPinned
            wished = unclaimed(options_for_update(wish.options, source))
            options = claimed(resolve_options(wished, existing, settings, now), existing, ask)
            return Pin(ask.cid, options, source.allocations, now, ask.size)
        wished = unclaimed(merged(wish, existing, now))
        if existing is not None and is_shared(existing, wish):
            wished = unclaimed(shared(wished, existing))
        options = claimed(resolve_options(wished, existing, settings, now), existing, ask)
        size = max(ask.size, existing.size if existing else 0)
        check_size(options, size)
        current = existing.allocations if existing else ()
        holders = situation.place(options, current=current, priority=ask.priority_peers, size=size)
        return Pin(ask.cid, options, holders, now if ask.created is None else ask.created, size)


def _as_planned(judged: Judgement, pin: Pin) -> Judgement:
    """A pin that takes the place of another has the places of that one, whatever the metrics say."""
    holds = pin.held_by(judged.peer)
    if judged.holds == holds:
        return judged
    reason = "holds the pin whose place this one takes" if holds else "does not hold the pin before this one"
    return replace(judged, holds=holds, reason=reason)


def _turns(asks: Sequence[GrantAsk]) -> list[list[int]]:
    """Which asks go together: one that needs what an earlier one makes of a CID goes in a later turn."""
    if asks and len({ask.cid for ask in asks}) == len(asks) and not _sources(asks):
        return [list(range(len(asks)))]
    turns: list[list[int]] = []
    last: dict[CID, int] = {}
    for index, ask in enumerate(asks):
        turn = 1 + max(last.get(cid, -1) for cid in (ask.cid, *_sources([ask])))
        if turn == len(turns):
            turns.append([])
        turns[turn].append(index)
        last[ask.cid] = turn
    return turns


def _sources(asks: Sequence[GrantAsk]) -> set[CID]:
    """The pins whose place others are to take."""
    return {
        source for ask in asks if (source := ask.wish.options.pin_update) is not None and ask.created is None
    }


def _left(pin: Pin | ClusterError | None, owner: str, requests_at: str) -> Pin | ClusterError | None:
    """What is left of a pin that an owner lets go of; None for nothing."""
    if not isinstance(pin, Pin):
        return pin or NotPinned()
    try:
        return released(pin, owner, requests_at)
    except NotOwned as error:
        return error


def _sound(pin: Pin | ClusterError | None) -> Pin | None:
    """Raises what it met who read it."""
    if isinstance(pin, ClusterError):
        raise pin
    return pin
