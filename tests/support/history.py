"""Random histories of a small cluster: what happens to it, peace, and what must be true then."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing, suppress
from functools import cache
from random import Random

from blockstore.cid import CID
from cluster.common.genesis import Genesis
from cluster.errors import ClusterError
from cluster.pinset.log.batch import AuthorLog
from cluster.pinset.tables.store import PinsetStore
from cluster.replication.log_cutter import DEFAULT_RETENTION, LogRetention
from cluster.replication.snapshot_limits import SnapshotLimits
from support.clock import virtual_time
from support.cluster_network import SimNetwork
from support.inline_database import Crashed
from support.pinset_member import PinsetMember, agree, grown_cluster, some_cid, some_pin

MEMBERS = 3
CIDS = 6
KEPT = 100
"""Numbers from here on are pinned and never unpinned: the acknowledged ones must be there in the end."""

LOOKED_INTO = 5.0
"""Seconds in which a member, at peace, has looked into what heads show of a fork."""

DISK_FULL = OSError("disk full")


@cache
def _grown(bits: int) -> tuple[Genesis, tuple[bytes, ...]]:
    """A cluster whose members know each other: growing one takes longer than most histories."""

    async def grow() -> tuple[Genesis, tuple[bytes, ...]]:
        chance, loop = Random(bits), asyncio.get_running_loop()
        network = SimNetwork(chance, delay=0.01)
        members = await grown_cluster(MEMBERS, network, lambda: 1e9 + loop.time(), bits, chance=chance)
        for member in members:
            await member.stop()
        return members[0].genesis, tuple(member.database.images[-1] for member in members)

    return virtual_time(grow)()


def prepare() -> None:
    """Grow the clusters that histories begin with; outside of any event loop."""
    for bits in (0, 2):
        _grown(bits)


class History:
    """Three members, and what happens to them."""

    def __init__(self, seed: int, retention: LogRetention = DEFAULT_RETENTION) -> None:
        self.random = Random(seed)
        limits = SnapshotLimits(
            min_batches=self.random.choice((1, 5, 256)),
            page_bytes=self.random.choice((1, 500, 1 << 20)),
            group=self.random.choice((1, 2, 256)),
        )
        self.network = SimNetwork(self.random, delay=self.random.choice((0.01, 0.5)))
        loop = asyncio.get_running_loop()
        genesis, images = _grown(self.random.choice((0, 2)))
        self.members = [
            PinsetMember(
                number,
                genesis,
                self.network,
                lambda: 2e9 + loop.time(),
                chance=self.random,
                image=image,
                snapshots=limits,
            )
            for number, image in enumerate(images)
        ]
        self._retention = retention
        self._acknowledged: set[CID] = set()
        self._next = KEPT
        self._since_cut: dict[str, bytes] = {}
        self._writes: set[asyncio.Task[None]] = set()
        self._lost_logs = False
        self._rolled_back = False

    @property
    def trace(self) -> str:
        """Of all that members sent each other, byte by byte, and of when they did."""
        return self.network.trace.hexdigest()

    async def live(self, steps: int, events: Sequence[Callable[[History], Awaitable[None]]]) -> None:
        """So many of these events, then peace, then agreement."""
        for member in self.members:
            await member.start(retention=self._retention)
        self.network.loss = self.random.choice((0.0, 0.3))
        self.network.repeat = self.random.choice((0.0, 0.3))
        for _ in range(steps):
            await self.random.choice(events)(self)
        await self.peace()

    async def peace(self) -> None:
        self.network.loss = 0.0
        self.network.part()
        await self._written()
        await agree(self.members)
        if self._rolled_back:
            # Branches may be equal in documents by chance, one having deleted the other's items: whether a
            # fork was seen shows when all have asked each other.
            await self._ask_each_other()
            await agree(self.members)
        async with asyncio.timeout(600):
            while any(member.pinset.snapshot_progress is not None for member in self.members):  # noqa: ASYNC110
                await asyncio.sleep(1)
        await self.check()
        for member in self.members:
            await member.stop()

    async def _ask_each_other(self) -> None:
        for member in self.members:
            async for _ in member.pinset.log.catch_up():
                pass
        await asyncio.sleep(LOOKED_INTO)

    async def check(self) -> None:
        """All have the same rows, all that was acknowledged is among them, and nothing had to be mended."""
        rows = [await member.rows() for member in self.members]
        assert all(row == rows[0] for row in rows)
        forked = any([await PinsetStore(member.database).forks.forks() for member in self.members])
        missing = self._acknowledged - set(rows[0])
        assert not missing, f"acknowledged and lost: {sorted(map(str, missing))}"
        for member in self.members:
            assert member.pinset.counts.refused == 0
            assert forked or self._lost_logs or member.pinset.counts.repaired == 0, (
                "the log alone brought them together"
            )

    async def write(self) -> None:
        member = self.random.choice(self.members)
        if self.random.random() < 0.3:
            self._next += 1
            writing = self._keep(member, self._next)
        else:
            writing = self._change(member, self.random.randrange(CIDS), self.random.random() < 0.6)
        task = asyncio.create_task(writing)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        if self.random.random() < 0.5:
            await asyncio.wait([task])

    async def part(self) -> None:
        names = [member.peer for member in self.members]
        self.random.shuffle(names)
        self.network.part(names[:1], names[1:])

    async def heal(self) -> None:
        self.network.part()

    async def pause(self) -> None:
        await asyncio.sleep(self.random.choice((0.01, 0.1, 1.0, 5.0)))

    async def cut(self) -> None:
        """All that may be cut at one member goes; nothing once a machine was rolled back.

        What it had before, others know of it still, and so they may cut one branch of a fork that they have
        not heard of yet: that nothing proves any more (docs/decisions/0004-pinset.md).
        """
        if self._rolled_back:
            return
        with suppress(OSError):
            async for _ in self.random.choice(self.members).pinset.log.cut():
                await asyncio.sleep(0)
        self._since_cut = {member.peer: member.database.images[-1] for member in self.members}

    async def lose_log(self) -> None:
        """A prefix of a log goes, whoever lacks it: as after weeks. Copies of before it come back too."""
        self._lost_logs = True
        for member in self.random.choice((self.members, [self.random.choice(self.members)])):
            share = self.random.choice((0.5, 1.0))
            with suppress(OSError, Crashed):
                await member.database.write(_cut_prefix, share)

    async def crash(self) -> None:
        """Killed, with all that it committed."""
        await self._restart(self.random.choice(self.members), -1)

    async def restore(self) -> None:
        """An old copy of the database comes back, as from a backup."""
        member = self.random.choice(self.members)
        self._note_snapshots()
        await self._restart(member, self._some_image(member))

    async def roll_back(self) -> None:
        """A machine is put back together with its memory, and writes on under numbers that it used before.

        To after the last cut, and after what others have by a snapshot alone: both prove no fork.
        """
        member = self.random.choice(self.members)
        await self._written()
        images, last_cut = member.database.images, self._since_cut.get(member.peer)
        first = next((index for index, image in enumerate(images) if image is last_cut), 0)
        floors = await self._floors(member.peer)
        places = [index for index in range(first, len(images)) if _is_behind(images[index], floors)]
        if places:
            self._rolled_back = True
            self._note_snapshots()
            await member.roll_back(self.random.choice(places))
            await self._forget_lost()

    def _note_snapshots(self) -> None:
        """A snapshot that is under way may hold what its donor is about to lose: documents differ by that."""
        if any(member.pinset.snapshot_progress is not None for member in self.members):
            self._lost_logs = True

    async def _floors(self, author: str) -> dict[AuthorLog, int]:
        """Of that author's logs the last batch that some other member has no envelope of."""
        floors: dict[AuthorLog, int] = {}
        for member in self.members:
            if member.peer != author:
                for head in await PinsetStore(member.database).heads(0, 1000):
                    if head.log.author == author:
                        floors[head.log] = max(floors.get(head.log, 0), head.begin - 1)
        return floors

    async def crash_between_statements(self) -> None:
        """Killed in the midst of some transaction."""
        member = self.random.choice(self.members)
        member.database.fail_at(self.random.randrange(25), Crashed())
        await asyncio.sleep(self.random.choice((0.1, 5.0)))
        await self._restart(member, -1)

    async def fill_disk(self) -> None:
        """The disk takes nothing more from some statement on, and has room again after a while."""
        member = self.random.choice(self.members)
        member.database.fail_at(self.random.randrange(25), DISK_FULL)
        await asyncio.sleep(self.random.choice((0.1, 1.0, 5.0)))
        member.database.recover()

    def _some_image(self, member: PinsetMember) -> int:
        return self.random.randrange(len(member.database.images))

    async def _keep(self, member: PinsetMember, number: int) -> None:
        with suppress(ClusterError, Crashed, OSError):
            await member.pinset.put(some_pin(number))
            self._acknowledged.add(some_cid(number))

    async def _change(self, member: PinsetMember, number: int, put: bool) -> None:
        with suppress(ClusterError, Crashed, OSError):
            if put:
                await member.pinset.put(some_pin(number, str(self.random.randrange(99))))
            else:
                await member.pinset.remove(some_cid(number))

    async def _restart(self, member: PinsetMember, image: int) -> None:
        await self._written()
        await member.kill(image)
        await asyncio.sleep(self.random.choice((0.0, 1.0, 10.0)))
        await member.start()
        await self._forget_lost()

    async def _written(self) -> None:
        if self._writes:
            await asyncio.wait(self._writes)

    async def _forget_lost(self) -> None:
        """What was on the disk of that member alone, and is not in its backup, is lost."""
        there = [set(await member.rows()) for member in self.members]
        self._acknowledged &= set[CID]().union(*there)


def _is_behind(image: bytes, floors: Mapping[AuthorLog, int]) -> bool:
    """Whether that copy of a database has all that lies below these floors."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.deserialize(image)
        rows = db.execute("SELECT author, epoch, sequence FROM logs").fetchall()
    heads = {AuthorLog(author, epoch): sequence for author, epoch, sequence in rows}
    return all(heads.get(log, 0) >= floor for log, floor in floors.items())


def _cut_prefix(db: sqlite3.Connection, share: float) -> None:
    (last,) = db.execute("SELECT coalesce(max(arrival), 0) FROM logs").fetchone()
    db.execute("DELETE FROM batches WHERE arrival <= ?", (int(last * share),))


EVENTS = (
    *[History.write] * 10,
    *[History.pause] * 3,
    *[History.cut] * 3,
    History.part,
    History.heal,
    History.crash,
    History.crash_between_statements,
    History.fill_disk,
    History.restore,
    History.roll_back,
)
WITH_SNAPSHOTS = (
    *[event for event in EVENTS if event is not History.roll_back],
    *[History.lose_log] * 3,
)
"""Logs are lost that others need; a machine that writes on under old numbers is another story."""

STEPS = 18


@virtual_time
async def live_through(seed: int) -> str:
    """The trace of the history that this seed makes."""
    history = History(seed)
    await history.live(STEPS, (EVENTS, WITH_SNAPSHOTS)[seed % 2])
    return history.trace
