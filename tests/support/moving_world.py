"""Members of a simulated cluster whose content comes from those who have it, on disks that fill up.

Each copy that is let go of is looked at: whether as many others as its pin asks for are there at that moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import lru_cache

from blockstore.cid import CID
from cluster.cluster import Cluster
from cluster.interfaces import Member
from cluster.pin import Pin
from cluster.ports import LocalPin, PinFailed
from cluster.settings import ClusterSettings
from support.memory_attempts import MemoryAttempts
from support.memory_cluster import Machine, MemoryCluster
from support.memory_members import MemoryMembers
from support.memory_pins import MemoryPins
from support.memory_pinset import PinsetView
from support.parted_pins import PartedPins
from support.peer_keys import Key

SIZE = 1000
"""Bytes of each pin."""


class KnownKey(Key):
    """Each signature is verified once: twenty members hear the same words."""

    def verify(self, peer: str, data: bytes, signature: bytes) -> bool:
        return _verified(peer, data, signature)


class SourcedPins(MemoryPins):
    """A walk ends where no other member that can be reached has all of it, and where there is no room."""

    def __init__(self, machine: Callable[[], Machine], world: MovingWorld) -> None:
        super().__init__(set(), set(), pace=0.3)
        self._machine = machine
        self._world = world

    async def fetch_block(self, cid: CID) -> None:
        await super().fetch_block(cid)
        if self._machine().free < SIZE:
            raise PinFailed("the disk is full")
        if not self._world.is_offered(cid, self._machine().peer):
            raise PinFailed("no providers found")

    async def unpin(self, cid: CID) -> None:
        self._world.check_release(cid, self._machine())
        await super().unpin(cid)


class MovingWorld(MemoryCluster):
    """Members 0 to `joined` belong to it from the beginning; the others may join."""

    def __init__(self, count: int, joined: int, settings: ClusterSettings) -> None:
        self.parted = PartedPins(lambda peer: self.network.reached(peer))
        self.broken_promises: list[str] = []
        self.capacity = 1_000_000
        super().__init__(count, settings=settings)
        self.known = list(self.members.members())
        self.members = MemoryMembers(self.known[:joined])
        self._stacks: dict[int, AsyncExitStack] = {}
        self.clusters: dict[int, Cluster] = {}

    def _machine(self, number: int, key: Key) -> Machine:
        machine = Machine(
            key=KnownKey(key.number),
            name=f"m{number}",
            view=PinsetView(self.parted.copy(key.peer_id)),
            pins=SourcedPins(lambda: self.machines[number], self),
            attempts=MemoryAttempts(),
            port=self.network.port(key.peer_id),
        )
        machine.free = self.capacity
        return machine

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Members end with the block."""
        try:
            yield
        finally:
            for number in list(self.clusters):
                await self.kill(number)

    async def start(self, number: int) -> None:
        """It is up, and has what it missed."""
        self._stacks[number] = AsyncExitStack()
        self.clusters[number] = await self._stacks[number].enter_async_context(self.member(number))
        self.parted.settle()

    async def kill(self, number: int) -> None:
        del self.clusters[number]
        await self._stacks.pop(number).aclose()

    def join(self, member: Member) -> None:
        self.members.admit(member)

    def part(self, minority: Sequence[int]) -> None:
        """Cut these off from the others, or, with none, join all."""
        self.network.part({self.peers[number]: 1 for number in minority})
        self.parted.settle()

    def holding(self, cid: CID) -> list[Machine]:
        """Members, up or not, that have all of it."""
        return [one for one in self.machines if self.members.is_member(one.peer) and _has(one, cid)]

    def is_offered(self, cid: CID, peer: str) -> bool:
        """Whether a peer can get it from another one."""
        reached = self.network.reached(peer)
        return any(_has(one, cid) for one in self.machines if one.peer in reached)

    def check_release(self, cid: CID, machine: Machine) -> None:
        """Whether enough other members have a copy that is let go of, where its pin is not removed."""
        pin = machine.view.known(cid)
        if pin is None or not _has(machine, cid):
            return
        others = [one for one in self.holding(cid) if one is not machine]
        if len(others) < pin.options.replication_min:
            self.broken_promises.append(f"{machine.name} let go of {cid}, which {len(others)} others have")

    def writes(self) -> int:
        return sum(one.writes for one in self.parted.copies.values())

    def fetched(self) -> int:
        """Blocks that members fetched so far."""
        return sum(len(machine.pins.fetches) for machine in self.machines)

    def give(self, number: int, pin: Pin) -> None:
        """A member has added it: it has the content, whether or not it is to hold it."""
        self.machines[number].pins.roots[pin.cid] = LocalPin(pin.cid, True, 10, SIZE)

    async def fill(self) -> None:
        """Keep the free room of all as large as what they hold leaves it, until cancelled."""
        while True:
            for machine in self.machines:
                if machine.free > 0:
                    machine.free = self.capacity - SIZE * len(machine.pins.roots)
            await asyncio.sleep(1)


def _has(machine: Machine, cid: CID) -> bool:
    root = machine.pins.roots.get(cid)
    return root is not None and root.complete


@lru_cache(maxsize=4096)
def _verified(peer: str, data: bytes, signature: bytes) -> bool:
    return Key(0).verify(peer, data, signature)
