"""What a test asks of one member's tracker, and waits for."""

from __future__ import annotations

from collections.abc import Sequence

from blockstore.cid import CID
from cluster.cluster import Cluster
from cluster.pin import EVERYWHERE, Pin, PinInfo, PinOptions, Status
from support.memory_cluster import EPOCH, MemoryCluster, cid, until

ALL = PinOptions()


OLD = EPOCH - 10 * 86_400


async def status(cluster: Cluster, wanted: CID) -> PinInfo:
    return await cluster.tracking.status(wanted)


async def reaches(cluster: Cluster, wanted: CID, expected: Status, seconds: float = 3600) -> PinInfo:
    async def reached() -> bool:
        return (await status(cluster, wanted)).status is expected

    await until(reached, seconds)
    return await status(cluster, wanted)


def everywhere(number: int, created: float = EPOCH) -> Pin:
    options = PinOptions(replication_min=EVERYWHERE, replication_max=EVERYWHERE)
    return Pin(cid(number), options, (), created)


async def listed(cluster: Cluster, wanted: frozenset[Status]) -> list[tuple[CID, Status]]:
    return [(row.cid, row.info.status) async for row in cluster.tracking.statuses(wanted)]


async def gone(world: MemoryCluster, wanted: CID, machine: int = 0) -> bool:
    return wanted not in world.machines[machine].pins.roots


async def failed(cluster: Cluster, cids: Sequence[CID]) -> bool:
    return all([(await status(cluster, wanted)).attempts > 0 for wanted in cids])


async def pinned(cluster: Cluster, cids: Sequence[CID]) -> bool:
    return all([(await status(cluster, wanted)).status is Status.PINNED for wanted in cids])


async def attempts(cluster: Cluster, wanted: CID, count: int) -> bool:
    return (await status(cluster, wanted)).attempts == count
