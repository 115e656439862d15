"""Members agree in the end, whatever the network and their machines do meanwhile. Every run has a seed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support.clock import virtual_time
from support.cluster_network import SimNetwork
from support.inline_database import Crashed
from support.pinset_member import PinsetMember, agree, grown_cluster, some_cid, some_pin

from blockstore.cid import CID
from cluster.errors import ClusterError

MEMBERS = 5
CIDS = 8


class Story:
    """One random history: writes, partitions, crashes and restored backups, then peace."""

    def __init__(self, random: Random, members: list[PinsetMember], network: SimNetwork) -> None:
        self.random = random
        self.members = members
        self.network = network
        self.writes: set[asyncio.Task[None]] = set()

    async def happen(self, steps: int) -> None:
        events = [self.write] * 12 + [self.part, self.heal, self.crash, self.restore, self.pause, self.pause]
        for _ in range(steps):
            await self.random.choice(events)()
        self.network.loss = 0.0
        self.network.part()
        if self.writes:
            await asyncio.wait(self.writes)
        await agree(self.members)

    async def write(self) -> None:
        member = self.random.choice(self.members)
        number, name = self.random.randrange(CIDS), str(self.random.randrange(99))
        task = asyncio.create_task(self._write(member, number, name, self.random.random() < 0.6))
        self.writes.add(task)
        task.add_done_callback(self.writes.discard)
        if self.random.random() < 0.5:
            await asyncio.wait([task])

    async def _write(self, member: PinsetMember, number: int, name: str, put: bool) -> None:
        with suppress(ClusterError, Crashed):  # not pinned, or killed before it was durable: no promise
            if put:
                await member.pinset.put(some_pin(number, name))
            else:
                await member.pinset.remove(some_cid(number))

    async def part(self) -> None:
        names = [member.peer for member in self.members]
        self.random.shuffle(names)
        cut = self.random.randrange(1, MEMBERS)
        self.network.part(names[:cut], names[cut:])

    async def heal(self) -> None:
        self.network.part()

    async def crash(self) -> None:
        await self._restart(-1)

    async def restore(self) -> None:
        """An old copy of the database comes back, as from a backup."""
        await self._restart(None)

    async def pause(self) -> None:
        await asyncio.sleep(self.random.choice((0.01, 0.1, 1.0, 40.0)))

    async def _restart(self, image: int | None) -> None:
        member = self.random.choice(self.members)
        chosen = self.random.randrange(len(member.database.images)) if image is None else image
        if self.writes:
            await asyncio.wait(self.writes)
        await member.kill(chosen)
        await asyncio.sleep(self.random.choice((0.0, 1.0, 60.0)))
        await member.start()


async def live_through(seed: int, steps: int) -> None:
    random = Random(seed)
    network = SimNetwork(random, delay=random.choice((0.01, 0.5, 5.0)))
    loop = asyncio.get_running_loop()
    members = await grown_cluster(
        MEMBERS, network, lambda: 1e9 + loop.time(), bits=random.choice((0, 2, 5)), chance=random
    )
    network.loss, network.repeat = random.choice((0.0, 0.3)), random.choice((0.0, 0.3))
    await Story(random, members, network).happen(steps)
    rows = [await member.rows() for member in members]
    assert all(row == rows[0] for row in rows)
    for member in members:
        assert await member.pinset.count() == len(rows[0])
        assert member.pinset.counts.refused == 0
        assert member.pinset.counts.repaired == 0, "the log alone brought them together"
        await member.stop()


SEEDS = st.integers(0, 2**32)


@settings(max_examples=12, phases=[Phase.generate])
@given(seed=SEEDS)
@virtual_time
async def test_five_authors_agree_after_loss_repetition_disorder_partition_and_restarts(seed: int) -> None:
    await live_through(seed, steps=60)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=200, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(seed=SEEDS)
@virtual_time
async def test_five_authors_agree_after_many_more_histories(seed: int) -> None:
    await live_through(seed, steps=120)


@virtual_time
async def test_no_acknowledged_pin_is_lost_when_every_member_is_killed_again_and_again() -> None:
    """Only pins, no unpins: what was acknowledged must be everywhere in the end."""
    random = Random(1)
    network = SimNetwork(random, loss=0.3, repeat=0.3, delay=0.5)
    loop = asyncio.get_running_loop()
    members = await grown_cluster(3, network, lambda: 1e9 + loop.time(), chance=random)
    acknowledged: set[CID] = set()

    async def pin(member: PinsetMember, number: int) -> None:
        with suppress(Crashed):
            await member.pinset.put(some_pin(number))
            acknowledged.add(some_cid(number))

    for number in range(60):
        member = random.choice(members)
        writing = asyncio.create_task(pin(member, number))
        await asyncio.sleep(random.choice((0.0, 0.019, 0.021, 1.0)))
        if random.random() < 0.3:
            await member.kill()
            await member.start()
        await asyncio.wait([writing], timeout=1.0)
        writing.cancel()
    network.loss = 0.0
    await agree(members)
    assert len(acknowledged) > 30
    for member in members:
        assert set(await member.rows()) >= acknowledged
        await member.stop()
