"""A cluster in memory: one pinset for N members, a network that can be cut, content that can be missing.

Honest stand-ins for the cluster's ports: the promises of cluster/ports.py and cluster/interfaces.py,
without disks and sockets, so that whole clusters run in virtual time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from blockstore.cid import CID
from blockstore.common.guard import Guard
from cluster.assembly import LocalNode, open_cluster
from cluster.calls.node_info import IpfsInfo
from cluster.cluster import Cluster
from cluster.context import ClusterContext
from cluster.interfaces import Member, Role
from cluster.pin import Status
from cluster.ports import (
    Capacity,
    LocalPins,
)
from cluster.settings import ClusterSettings
from support.memory_attempts import MemoryAttempts
from support.memory_members import MemoryMembers
from support.memory_network import MemoryNetwork, Port
from support.memory_pins import MemoryPins
from support.memory_pinset import PinsetView, SharedPins
from support.peer_keys import Key


def cid(number: int) -> CID:
    """A CID of nothing in particular; larger numbers come later in order of bytes."""
    return CID.v1(0x55, b"\x12\x20" + number.to_bytes(4) + bytes(28))


CLUSTER_ID = bytes(32)
EPOCH = 1_700_000_000.0
"""When the virtual loop began, as a wall clock tells it."""


def wall_clock() -> float:
    return EPOCH + asyncio.get_running_loop().time()


@dataclass
class Machine:
    """What survives a restart of one member, and what a test may break."""

    key: Key
    name: str
    view: PinsetView
    pins: MemoryPins
    attempts: MemoryAttempts
    port: Port
    free: int = 10**12
    quota: int = 0
    clock_offset: float = 0.0

    @property
    def peer(self) -> str:
        return self.key.peer_id


class MemoryCluster:
    """Members 0..n-1 over one pinset and one network."""

    def __init__(
        self, count: int, followers: Sequence[int] = (), settings: ClusterSettings | None = None
    ) -> None:
        self.settings = settings or ClusterSettings()
        self.shared = SharedPins()
        self.guard = Guard()
        self.network = MemoryNetwork(self.guard)
        self.missing: set[CID] = set()
        self.stuck: set[CID] = set()
        self.broken: set[CID] = set()
        keys = sorted((Key(number) for number in range(count)), key=lambda key: key.peer_id)
        roles = [Role.FOLLOWER if number in followers else Role.TRUSTED for number in range(count)]
        self.members = MemoryMembers(
            [
                Member(key.peer_id, f"m{i}", role)
                for i, (key, role) in enumerate(zip(keys, roles, strict=True))
            ]
        )
        self.machines = [self._machine(i, key) for i, key in enumerate(keys)]

    @property
    def peers(self) -> list[str]:
        return [machine.peer for machine in self.machines]

    def context(self, number: int) -> ClusterContext:
        """What the parts of that member are given."""
        machine = self.machines[number]
        return ClusterContext(
            peer=machine.peer,
            name=machine.name,
            cluster_id=CLUSTER_ID,
            pinset=machine.view,
            members=self.members,
            calls=machine.port,
            settings=self.settings,
            now=lambda: wall_clock() + machine.clock_offset,
            guard=self.guard,
        )

    @asynccontextmanager
    async def member(self, number: int, pins: LocalPins | None = None) -> AsyncIterator[Cluster]:
        """Run that member, over its own pins or over those given; it is unreachable before and after."""
        machine = self.machines[number]

        async def capacity() -> Capacity:
            return Capacity(machine.free, 0, machine.quota)

        self.network.set_up(machine.peer, True)
        try:
            async with open_cluster(
                self.context(number),
                LocalNode(
                    version="1.1.6+test",
                    ipfs=lambda: IpfsInfo(f"Qm{machine.name}"),
                    pins=pins or machine.pins,
                    attempts=machine.attempts,
                    capacity=capacity,
                ),
                machine.port,
                machine.key,
            ) as cluster:
                yield cluster
        finally:
            machine.view.forget_handlers()
            machine.port.close()
            self.network.set_up(machine.peer, False)

    @asynccontextmanager
    async def all(self) -> AsyncIterator[list[Cluster]]:
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(self.member(n)) for n in range(len(self.machines))]

    def _machine(self, number: int, key: Key) -> Machine:
        return Machine(
            key=key,
            name=f"m{number}",
            view=PinsetView(self.shared, read_only=not self.members.is_trusted(key.peer_id)),
            pins=MemoryPins(self.missing, self.stuck, self.broken),
            attempts=MemoryAttempts(),
            port=self.network.port(key.peer_id),
        )


async def until(reached: Callable[[], Awaitable[bool]], seconds: float = 3600) -> None:
    """Let virtual time pass until that holds; TimeoutError when it does not within `seconds`."""
    async with asyncio.timeout(seconds):
        while not await reached():  # noqa: ASYNC110 - virtual time: polling costs nothing and needs no hook
            await asyncio.sleep(0.25)


async def settled_as(
    cluster: Cluster, cid: CID, status: Status, peers: Sequence[str], seconds: float = 3600
) -> None:
    """Let virtual time pass until exactly these members report that status of the CID."""

    async def reached() -> bool:
        infos = (await cluster.statuses.one(cid)).peers
        return {peer for peer, info in infos.items() if info.status is status} == set(peers)

    await until(reached, seconds)
