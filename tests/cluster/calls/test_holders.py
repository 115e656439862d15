"""Whether a copy is still needed beside those of the members that are to hold a pin."""

from __future__ import annotations

from support.clock import virtual_time
from support.memory_cluster import EPOCH, MemoryCluster, cid, settled_as

from cluster.pin import EVERYWHERE, Pin, PinMode, PinOptions, Status
from cluster.ports import LocalPin


def pin(*holders: str, low: int = 1, mode: PinMode = PinMode.RECURSIVE) -> Pin:
    most = EVERYWHERE if low == EVERYWHERE else max(low, len(holders))
    return Pin(cid(1), PinOptions(mode=mode, replication_min=low, replication_max=most), holders, EPOCH)


def keep(world: MemoryCluster, *machines: int, complete: bool = True, recursive: bool = True) -> None:
    for machine in machines:
        root = LocalPin(cid(1), complete, 10 if recursive else 0, 10_000, recursive)
        world.machines[machine].pins.roots[cid(1)] = root


@virtual_time
async def test_every_holder_has_to_say_so() -> None:
    world = MemoryCluster(3)
    _, b, c = world.peers
    async with world.all() as (first, *_):
        world.shared.pins[cid(1)] = pin(b, c)
        assert "0 of the 2" in await first.holders.lacking(pin(b, c))
        keep(world, 1)
        assert "1 of the 2" in await first.holders.lacking(pin(b, c))
        keep(world, 2, complete=False)
        assert "1 of the 2" in await first.holders.lacking(pin(b, c))
        keep(world, 2)
        assert await first.holders.lacking(pin(b, c)) == ""
        assert await first.holders.lacking(pin(low=EVERYWHERE)) == ""
        world.network.set_up(b, False)
        assert "1 of the 2" in await first.holders.lacking(pin(b, c))


@virtual_time
async def test_holders_that_are_no_members_any_more_do_not_count_and_all_gone_is_nobody() -> None:
    world = MemoryCluster(3)
    _, b, c = world.peers
    async with world.all() as (first, *_):
        world.shared.pins[cid(1)] = pin(b, c)
        keep(world, 1, 2)
        await world.members.remove(c)
        assert await first.holders.lacking(pin(b, c)) == ""
        assert "1 of the 2" in await first.holders.lacking(pin(b, c, low=2))
        await world.members.remove(b)
        assert "0 of the 1" in await first.holders.lacking(pin(b, c))
        assert "0 of the 1" in await first.holders.lacking(pin())


@virtual_time
async def test_a_block_alone_is_not_the_dag_below_it() -> None:
    world = MemoryCluster(2)
    _, b = world.peers
    async with world.all() as (first, second):
        keep(world, 1, recursive=False)
        direct = pin(b, mode=PinMode.DIRECT)
        world.shared.pins[cid(1)] = direct
        assert await first.holders.lacking(direct) == ""
        world.shared.pins[cid(1)] = pin(b)
        assert (await second.tracking.status(cid(1))).status is not Status.PINNED
        assert "0 of the 1" in await first.holders.lacking(pin(b))


@virtual_time
async def test_a_direct_pin_that_became_recursive_unnoticed_is_found_by_the_next_pass() -> None:
    world = MemoryCluster(1)
    keep(world, 0, recursive=False)
    world.shared.pins[cid(1)] = pin(world.peers[0])
    async with world.all() as (first,):
        await settled_as(first, cid(1), Status.PINNED, world.peers, 700)
        assert world.machines[0].pins.roots[cid(1)].recursive
