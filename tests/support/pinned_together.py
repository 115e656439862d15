"""What tests of several members pin, and how they read what these say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from blockstore.cid import CID
from cluster.pin import GlobalPinInfo, Pin, PinOptions, Status
from cluster.ports import LocalPin
from support.memory_cluster import EPOCH, MemoryCluster, cid

TWO = PinOptions(replication_min=2, replication_max=2)


async def all_of(stream: AsyncIterator[GlobalPinInfo]) -> list[GlobalPinInfo]:
    return [info async for info in stream]


def shown(info: GlobalPinInfo) -> dict[str, Status]:
    return {peer: one.status for peer, one in info.peers.items()}


def seed(
    world: MemoryCluster, number: int, allocations: Sequence[str], *, low: int = 2, high: int = 2
) -> None:
    options = PinOptions(replication_min=low, replication_max=high)
    world.shared.pins[cid(number)] = Pin(cid(number), options, tuple(allocations), EPOCH - 10**6)


def keep(world: MemoryCluster, machine: int, numbers: Sequence[int]) -> None:
    for number in numbers:
        world.machines[machine].pins.roots[cid(number)] = LocalPin(cid(number), True, 10, 10_000)


async def forgotten(world: MemoryCluster, machine: int, wanted: CID) -> bool:
    return wanted not in world.machines[machine].pins.roots
