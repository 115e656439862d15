"""Random histories of a cluster of 24: members come, go and are parted, disks fill up, some are drained."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

from blockstore.cid import CID
from blockstore.common.tasks import background
from cluster.errors import ClusterError
from cluster.interfaces import Duty
from cluster.pin import Pin, PinOptions
from cluster.settings import ClusterSettings
from support.memory_cluster import cid
from support.moving_world import SIZE, MovingWorld
from support.parted_pins import PinsCopy

MEMBERS, JOINED = 24, 20
SETTINGS = ClusterSettings(
    metric_interval=120,
    repin_grace=600,
    reconcile_interval=120,
    retry_most=120,
    repin_rate=20,
    top_up_interval=300,
)
PINS = 40
_DOWN, _REMOVED, _DRAINED = 4, 3, 3  # at the same time at most


class MovingHistory:
    """One seed, one history; the same each time."""

    def __init__(self, seed: int, members: int = MEMBERS, joined: int = JOINED) -> None:
        self.joined = joined
        self.world = MovingWorld(members, joined, SETTINGS)
        self.random = Random(seed)
        self.told: list[str] = []
        self._acknowledged: dict[CID, int] = {}  # and the minimum of copies that was reached
        self._parted: list[int] = []
        self._full: set[int] = set()

    async def run(self, steps: int) -> None:
        """What happens, then peace; what must be true is checked all the time and in the end."""
        world = self.world
        async with world.running(), background(world.fill()):
            await self.begin()
            for _ in range(steps):
                await self._step()
                self._look()
            await self._peace()
            await self._check()

    async def begin(self, least: int = 1) -> None:
        """Members are up, and hold what is pinned, in `least` copies or more."""
        for number in range(self.joined):
            await self.world.start(number)
        await asyncio.sleep(150)
        for number in range(PINS):
            await self._pin(number, least)
        await asyncio.sleep(200)

    async def _step(self) -> None:
        action = self.random.choice(
            [
                *(self._kill, self._kill, self._restart, self._restart, self._remove, self._join, self._part),
                *(self._heal, self._heal, self._drain, self._undo, self._fill, self._empty),
                *(self._rebalance, self._pin_one, self._unpin),
            ]
        )
        try:
            await action()
        except ClusterError as error:  # such as too few members for a pin: nothing changed
            self.told.append(f"{action.__name__}: {error}")
        await asyncio.sleep(self.random.choice([1, 20, 60, 700]))

    def _up(self) -> list[int]:
        """Members that are up and not cut off."""
        members = self.world.members
        return [
            number
            for number in sorted(self.world.clusters)
            if members.is_member(self.world.peers[number]) and number not in self._parted
        ]

    async def _kill(self) -> None:
        if self.joined - len(self.world.clusters) < _DOWN:
            await self.world.kill(self.random.choice(sorted(self.world.clusters)))

    async def _restart(self) -> None:
        known = [
            n for n in range(len(self.world.machines)) if self.world.members.is_member(self.world.peers[n])
        ]
        down = [number for number in known if number not in self.world.clusters]
        if down:
            await self.world.start(self.random.choice(down))

    async def _remove(self) -> None:
        if len(self.world.members.removed()) < _REMOVED:
            number = self.random.choice(self._up())
            self._forgive(number)
            await self.world.members.remove(self.world.peers[number])

    def _forgive(self, number: int) -> None:
        """Copies that go with a member whom an operator takes out: the outage itself."""
        for wanted in list(self._acknowledged):
            holding = [one for one in self.world.holding(wanted) if one is not self.world.machines[number]]
            if len(holding) < self._acknowledged[wanted]:
                self._acknowledged[wanted] = len(holding)

    async def _join(self) -> None:
        world = self.world
        new = [one for one in world.known if one.peer not in world.members.peers() | world.members.removed()]
        if new:
            world.join(new[0])
            await world.start(world.peers.index(new[0].peer))

    async def _part(self) -> None:
        up = self._up()
        if not self._parted and len(up) > 10:
            self._parted = self.random.sample(up, self.random.randint(1, 6))
            self.world.part(self._parted)

    async def _heal(self) -> None:
        self._parted = []
        self.world.part([])

    async def _drain(self) -> None:
        up = self._up()
        if len(self.world.members.drained()) < _DRAINED:
            wanted = self.random.choice(self.world.members.members())
            await self.world.clusters[self.random.choice(up)].drains.drain(wanted)

    async def _undo(self) -> None:
        for peer in sorted(self.world.members.drained())[:1]:
            await self.world.members.set_duty(peer, Duty.OPEN)

    async def _fill(self) -> None:
        if len(self._full) < 3:
            number = self.random.choice(range(len(self.world.machines)))
            self._full.add(number)
            self.world.machines[number].free = 0

    async def _empty(self) -> None:
        for number in sorted(self._full):
            self.world.machines[number].free = SIZE
        self._full.clear()

    async def _rebalance(self) -> None:
        await self.world.clusters[self.random.choice(self._up())].rebalancing.begin()

    async def _pin_one(self) -> None:
        await self._pin(PINS + len(self.told) + self.random.randrange(10**6))

    async def _pin(self, number: int, least: int = 1) -> None:
        at = self.random.choice(self._up())
        low = self.random.randint(least, 3)
        options = PinOptions(replication_min=low, replication_max=low + self.random.randint(0, 1))
        self.world.give(at, Pin(cid(number), options, (), 0.0))
        peer = self.world.peers[at]
        await self.world.clusters[at].pin(cid(number), options, priority_peers=[peer], size=SIZE)

    async def _unpin(self) -> None:
        known = sorted(self.world.parted.newest(), key=bytes)
        if len(known) > PINS / 2 and not self._parted:
            wanted = self.random.choice(known)
            self._acknowledged.pop(wanted, None)
            await self.world.clusters[self.random.choice(self._up())].unpin(wanted)

    def _look(self) -> None:
        """No acknowledged pin has fewer copies on members' disks than its minimum, once it had as many."""
        assert not self.world.broken_promises
        for wanted, pin in self.world.parted.newest().items():
            have, low = len(self.world.holding(wanted)), pin.options.replication_min
            assert have >= min(self._acknowledged.get(wanted, 0), low), f"{wanted}: {have} copies of {low}"
            if have >= low:
                self._acknowledged[wanted] = low

    async def _peace(self) -> None:
        """All that belong are up, joined and have room."""
        await self._heal()
        await self._empty()
        for number in range(len(self.world.machines)):
            is_member = self.world.members.is_member(self.world.peers[number])
            if is_member and number not in self.world.clusters:
                await self.world.start(number)
        self.world.parted.settle()
        await _within(3 * 3600, self._is_well)

    async def _is_well(self) -> bool:
        """Every pin has its copies, each on a holder, and drained members name none."""
        drained, members = self.world.members.drained(), self.world.members.peers()
        for wanted, pin in self.world.parted.newest().items():
            holders = {one.peer for one in self.world.holding(wanted)}
            if len(holders & set(pin.allocations)) < pin.options.replication_min:
                return False
            if not members >= set(pin.allocations) or drained & set(pin.allocations):
                return False
            if holders - set(pin.allocations):
                return False
        newest = self.world.parted.newest()
        return all(one.pins == newest for one in self._copies())

    def _copies(self) -> list[PinsCopy]:
        members = self.world.members
        return [one for peer, one in self.world.parted.copies.items() if members.is_member(peer)]

    async def _check(self) -> None:
        """It stays so, and nothing more happens."""
        self._look()
        await asyncio.sleep(700)
        writes, fetched = self.world.writes(), self.world.fetched()
        await asyncio.sleep(1200)
        assert (self.world.writes(), self.world.fetched()) == (writes, fetched), "it is quiet in the end"
        assert await self._is_well()
        assert not self.world.broken_promises
        assert not self.world.guard.failures


async def _within(seconds: float, reached: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(seconds):
        while not await reached():  # noqa: ASYNC110 - virtual time: polling costs nothing and needs no hook
            await asyncio.sleep(20)
