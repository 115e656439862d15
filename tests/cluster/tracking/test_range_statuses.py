"""Statuses of a key range at once: the same as those of each CID alone, also while everything changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clock import virtual_time
from support.memory_attempts import MemoryAttempts
from support.memory_cluster import EPOCH, MemoryCluster, cid
from support.memory_pins import MemoryPins
from support.memory_pinset import PinsetView

from blockstore.cid import CID
from blockstore.common.guard import Guard
from cluster.interfaces import StoredPins
from cluster.pin import EVERYWHERE, KeyRange, Pin, PinInfo, PinMode, PinOptions, Progress, Status
from cluster.ports import Attempt, LocalPin, LocalRoots, OperationKind
from cluster.tracking.backlog import Backlog
from cluster.tracking.operation import Lane
from cluster.tracking.operation_queue import OperationQueue
from cluster.tracking.pin_view import PinViews
from cluster.tracking.range_statuses import RangeStatuses
from cluster.tracking.status import EVERY_STATUS, pin_info
from cluster.tracking.status_feed import StatusFeed

COUNT = 24
pins = st.none() | st.builds(
    lambda held, mode, age: (held, mode, age),
    st.sampled_from(["everywhere", "us", "others"]),
    st.sampled_from(PinMode),
    st.floats(0, 1e9),
)
roots = st.none() | st.tuples(st.booleans(), st.booleans(), st.integers(0, 99))
failures = st.none() | st.sampled_from(OperationKind)
operations = st.none() | st.tuples(st.sampled_from(Lane), st.booleans())
cells = st.tuples(pins, roots, failures, operations)


class Member:
    """One member's tracking at rest: what it knows, and two ways to its statuses."""

    def __init__(self) -> None:
        self.world = MemoryCluster(2)
        self.context = self.world.context(0)
        machine = self.world.machines[0]
        self.pins, self.attempts = machine.pins, machine.attempts
        self.queue = OperationQueue(1000, 10)
        self.backlog = Backlog(self.queue, lambda: EPOCH, StatusFeed(Guard()))
        self.backlog.behind = False
        self.ranges = RangeStatuses(self.context, self.pins, self.attempts, self.backlog)
        self.views = PinViews(self.context.pinset, self.pins, self.attempts, self.queue)

    def hold(self, number: int, held: str, mode: PinMode, created: float) -> None:
        everywhere, (us, other) = held == "everywhere", self.world.peers
        most = EVERYWHERE if everywhere else 1
        options = PinOptions(name="n", mode=mode, replication_max=most)
        allocations = () if everywhere else (us if held == "us" else other,)
        self.world.shared.pins[cid(number)] = Pin(cid(number), options, allocations, created)

    def work(self, number: int, lane: Lane, running: bool) -> None:
        self.queue.put(cid(number), lane, EPOCH - number)
        if running:
            while (one := self.queue.get(cid(number))) is not None and not one.running:
                self.begin()
            if one is not None:
                one.progress = Progress(number, 1, 2)

    def begin(self) -> None:
        """All that waits."""
        queue = self.queue
        for take in (queue.take_here, queue.take_new_pins, queue.take_new_unpins):
            take(EPOCH)
        while queue.take_pin(EPOCH):
            pass

    def fill(self, number: int, pin: tuple[str, PinMode, float] | None, root: tuple[bool, bool, int] | None,
             failure: OperationKind | None, operation: tuple[Lane, bool] | None) -> None:  # fmt: skip
        if pin is not None:
            self.hold(number, *pin)
        if root is not None:
            complete, recursive, blocks = root
            self.pins.roots[cid(number)] = LocalPin(cid(number), complete, blocks, blocks * 9, recursive)
        if failure is not None:
            self.attempts.rows[cid(number)] = Attempt(cid(number), failure, 3, "why", 5.0, 1e9 + number)
        if operation is not None:
            self.work(number, *operation)

    async def one(self, number: int) -> PinInfo:
        view = replace(await self.views.one(cid(number)), behind=self.backlog.behind)
        return pin_info(self.context.peer, self.context.name, view, self.context.now())

    async def listed(self, wanted: frozenset[Status], limit: int) -> list[tuple[CID, PinInfo]]:
        found, keys = list[tuple[CID, PinInfo]](), KeyRange()
        while True:
            part = await self.ranges.read(wanted, keys, limit)
            rows = [(row.cid, row.info) for row in part.every(self.context.peer, self.context.name)]
            assert len(rows) <= limit
            found += rows
            if part.until == keys.until:
                return found
            assert part.until > keys.after
            keys = KeyRange(part.until)


@given(
    st.lists(cells, min_size=1, max_size=COUNT),
    st.booleans(),
    st.just(EVERY_STATUS) | st.frozensets(st.sampled_from(Status)),
    st.sampled_from([1, 3, 1000]),
)
def test_a_range_says_what_each_cid_alone_says(
    filled: list[tuple[tuple[str, PinMode, float] | None, tuple[bool, bool, int] | None,
                       OperationKind | None, tuple[Lane, bool] | None]],
    behind: bool,
    wanted: frozenset[Status],
    limit: int,
) -> None:  # fmt: skip
    @virtual_time
    async def scenario() -> None:
        member = Member()
        for number, cell in enumerate(filled):
            member.fill(number, *cell)
        member.backlog.behind = behind
        alone = [(cid(number), await member.one(number)) for number in range(len(filled))]
        shown = wanted - {Status.UNPINNED}
        expected = [(one, info) for one, info in alone if info.status in shown]
        assert await member.listed(wanted, limit) == expected

    scenario()


class Changing:
    """The member at work: each step is one that its tracker takes, in the order in which it takes them."""

    def __init__(self, member: Member, chance: Random) -> None:
        self.member = member
        self.chance = chance
        self.quiet_after = 0
        self.history: dict[int, set[Status]] = {number: set() for number in range(COUNT)}

    async def step(self) -> None:
        number = self.chance.randrange(COUNT)
        member, key = self.member, cid(number)
        operation = member.queue.get(key)
        if self.chance.random() < 0.4:
            self._wish(number)
        elif operation is not None and operation.running:
            self._go_on(number, key)
        elif operation is not None:
            self._begin()
            await self.note(range(COUNT))
        await self.note([number])

    def _wish(self, number: int) -> None:
        """Somebody pins it, moves it or removes it, and the tracker hears of it."""
        pins, key = self.member.world.shared.pins, cid(number)
        held = self.chance.choice(["everywhere", "us", "others", ""])
        pins.pop(key, None)
        if held:
            self.member.hold(number, held, self.chance.choice(list(PinMode)), EPOCH - number)
        wished = held in ("everywhere", "us")
        self.member.queue.put(
            key, self.chance.choice([Lane.FRESH, Lane.NORMAL]) if wished else Lane.UNPIN, EPOCH
        )

    def _begin(self) -> None:
        queue = self.member.queue
        self.chance.choice([queue.take_new_pins, queue.take_new_unpins])(EPOCH)

    def _go_on(self, number: int, key: CID) -> None:
        operation, roots = self.member.queue.get(key), self.member.pins.roots
        pin = self.member.world.shared.pins.get(key)
        assert operation is not None
        wished = pin is not None and pin.held_by(self.member.context.peer)
        if wished != (operation.kind is OperationKind.PIN):
            operation.successor = operation.successor or (Lane.NORMAL if wished else Lane.UNPIN)
        elif pin is None or not wished:
            roots.pop(key, None)
        elif self.chance.random() < 0.3:
            self.member.attempts.rows[key] = Attempt(key, operation.kind, 1, "why", EPOCH, EPOCH)
            self.member.queue.finish(operation, EPOCH)
            return
        else:
            roots[key] = LocalPin(key, True, number, 1, pin.options.mode is PinMode.RECURSIVE)
        self.member.attempts.rows.pop(key, None)
        self.member.queue.finish(operation, EPOCH)

    async def note(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.history[number].add((await self.member.one(number)).status)


Step = Callable[[], Awaitable[None]]


class ChangingPinset(PinsetView):
    """After each reading something has happened; so with the next two."""

    step: Step

    async def stored(self, keys: KeyRange, limit: int) -> StoredPins:
        found = await super().stored(keys, limit)
        await self.step()
        return found


class ChangingAttempts(MemoryAttempts):
    step: Step

    async def within(self, keys: KeyRange, limit: int) -> list[Attempt]:
        found = await super().within(keys, limit)
        await self.step()
        return found


class ChangingPins(MemoryPins):
    step: Step

    async def within(self, keys: KeyRange, limit: int) -> LocalRoots:
        found = await super().within(keys, limit)
        await self.step()
        return found


@pytest.mark.parametrize("seed", range(15))
def test_while_all_changes_a_status_is_one_that_the_cid_had_meanwhile(seed: int) -> None:
    chance = Random(seed)

    @virtual_time
    async def scenario() -> None:
        member = Member()
        changing = Changing(member, chance)
        pinset = ChangingPinset(member.world.shared)
        attempts, pins = ChangingAttempts(), ChangingPins(set(), set())
        attempts.rows, pins.roots = member.attempts.rows, member.pins.roots

        async def steps() -> None:
            if changing.quiet_after > 0:
                changing.quiet_after -= 1
                for _ in range(chance.randrange(9)):
                    await changing.step()

        pinset.step = attempts.step = pins.step = steps
        ranges = RangeStatuses(replace(member.context, pinset=pinset), pins, attempts, member.backlog)
        for _ in range(20):
            changing.quiet_after = 9  # trips; of a range, that is three readings
            changing.history = {number: set() for number in range(COUNT)}
            await changing.note(range(COUNT))
            part = await ranges.read(EVERY_STATUS, KeyRange(), 1000)
            rows = {row.cid: row.info.status for row in part.every("", "")}
            for number, seen in changing.history.items():
                assert rows.get(cid(number), Status.UNPINNED) in seen, (number, seen)

    scenario()
