"""A member of a simulated cluster: started, killed, restored from any of its commits."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from random import Random, SystemRandom

from blockstore.cid import CID, DAG_PB
from cluster.common.cooperative import TimeSlice
from cluster.common.genesis import Genesis, found_cluster
from cluster.interfaces import PinChange, Role
from cluster.members.invite import Invite
from cluster.pin import Pin, PinOptions
from cluster.pinset.tables.live_entries import NO_QUOTA
from cluster.pinset.tables.store import PinsetStore
from cluster.replication.log_cutter import DEFAULT_RETENTION, LogRetention
from cluster.replication.open_pinset import PinsetSettings, Surroundings, open_pinset
from cluster.replication.replicated_pinset import ReplicatedPinset
from cluster.replication.snapshot_limits import DEFAULT_LIMITS, SnapshotLimits
from node.datadir.identity import Identity
from support.cluster_network import SimNetwork
from support.inline_database import Crashed, InlineDatabase

SECRET = b"s" * 32
_EPOCH_BITS = 63  # new_epoch draws so many


class QuickIdentity(Identity):
    """Remembers what it verified: every member verifies what each of them signed."""

    verify = staticmethod(lru_cache(1 << 14)(Identity.verify))


def identity(number: int) -> Identity:
    return QuickIdentity.from_seed(hashlib.sha256(b"member %d" % number).digest())


def some_cid(number: int) -> CID:
    return CID.v1(DAG_PB, b"\x12\x20" + hashlib.sha256(b"cid %d" % number).digest())


def some_pin(number: int, name: str = "", **options: object) -> Pin:
    return Pin(some_cid(number), PinOptions(name=name, replication_max=-1, **options), (), 1.0)  # type: ignore[arg-type]


def some_genesis(bits: int = 3, chance: Random | None = None) -> Genesis:
    genesis = found_cluster("test", identity(0).peer_id, 1.0, bits)
    return genesis if chance is None else replace(genesis, nonce=chance.randbytes(len(genesis.nonce)))


class Epochs(Random):
    """Chance that remembers the last epoch it drew, and draws those in `next` before any other."""

    def __init__(self, source: Random) -> None:
        super().__init__(0)
        self._source = source
        self.last = 0
        self.next: list[int] = []

    def random(self) -> float:
        return self._source.random()

    def getrandbits(self, k: int, /) -> int:
        if k != _EPOCH_BITS:
            return self._source.getrandbits(k)
        self.last = self.next.pop() if self.next else self._source.getrandbits(k)
        return self.last


class PinsetMember:
    """One node's key, database and clock over many lives."""

    def __init__(
        self,
        number: int,
        genesis: Genesis,
        network: SimNetwork,
        clock: Callable[[], float],
        keep: int = 40,
        chance: Random | None = None,
        image: bytes | None = None,
        snapshots: SnapshotLimits = DEFAULT_LIMITS,
    ) -> None:
        """With `chance` each step of its work is drawn from that, and gives others a turn.

        Its database is a new one, or what an `image` holds.
        """
        self._chance = chance
        self._epochs = Epochs(chance or SystemRandom())
        self.signer = identity(number)
        self.peer = self.signer.peer_id
        self.genesis = genesis
        self.network = network
        self.clock = clock
        self.database = InlineDatabase(image, keep)
        self.changes: list[PinChange] = []
        self.alive = False
        self.quota = NO_QUOTA
        self._invite: Invite | None = None
        self._snapshots = snapshots
        self._retention = DEFAULT_RETENTION
        self._keep = keep
        self._pinset: ReplicatedPinset | None = None
        self._life: asyncio.Task[None] | None = None

    @property
    def pinset(self) -> ReplicatedPinset:
        assert self._pinset is not None
        return self._pinset

    async def start(
        self, invite: Invite | None = None, batch_size: int = 1000, retention: LogRetention | None = None
    ) -> ReplicatedPinset:
        self._invite = invite or self._invite  # a node keeps its token
        self._retention = retention or self._retention
        opened: asyncio.Future[ReplicatedPinset] = asyncio.get_running_loop().create_future()
        self._life = asyncio.create_task(self._live(opened, self._invite, batch_size))
        self._pinset = await opened
        self.alive = True
        return self._pinset

    async def stop(self) -> None:
        assert self._life is not None
        self.alive = False
        self._life.cancel()
        await asyncio.wait([self._life])
        if not self._life.cancelled():
            self._life.result()

    async def kill(self, image: int = -1) -> None:
        """End at once, with nothing written any more; the disk is as after that commit (-1 = the last)."""
        self.database.failing = Crashed()
        before = self.database.images[image]
        await self.stop()
        self.database.close()
        self.database = InlineDatabase(before, self._keep, tables="")

    async def roll_back(self, image: int) -> None:
        """Disk and memory are what they were after that commit: a virtual machine put back while it runs.

        It writes on in the epoch in which it was, as if what it wrote since had never been.
        """
        epoch = self._epochs.last
        await self.kill(image)
        self._epochs.next.append(epoch)
        await self.start()

    def _surroundings(self) -> Surroundings:
        slices = TimeSlice if self._chance is None else partial(TimeSlice, -1.0)
        return Surroundings(self.clock, chance=self._epochs, slices=slices)

    async def envelopes(self) -> list[bytes]:
        """Of all batches that are here, in order of arrival."""
        return [envelope for _, envelope in await PinsetStore(self.database).batches_after(0, 1 << 30)]

    async def rows(self) -> dict[CID, Pin]:
        return {pin.cid: pin async for pin in self.pinset.pins()}

    async def _live(
        self, opened: asyncio.Future[ReplicatedPinset], invite: Invite | None, batch_size: int
    ) -> None:
        peer = self.network.attach(self.peer)
        try:
            async with open_pinset(
                self.database,
                self.genesis,
                self.signer,
                peer,
                invite=invite,
                settings=PinsetSettings(
                    f"member {self.peer[-4:]}",
                    batch_size,
                    retention=self._retention,
                    quota=self.quota,
                    snapshots=self._snapshots,
                ),
                surroundings=self._surroundings(),
            ) as pinset:
                pinset.on_changes(self.changes.extend)
                opened.set_result(pinset)
                await asyncio.Event().wait()
        except Crashed:
            assert self.database.failing is not None
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)
        finally:
            self.network.detach(self.peer)


async def grown_cluster(
    size: int,
    network: SimNetwork,
    clock: Callable[[], float],
    bits: int = 3,
    role: Role = Role.TRUSTED,
    chance: Random | None = None,
    snapshots: SnapshotLimits = DEFAULT_LIMITS,
) -> list[PinsetMember]:
    """A founder and others that joined by invitation, all started and in agreement about who belongs."""
    genesis = some_genesis(bits, chance)
    members = [
        PinsetMember(number, genesis, network, clock, chance=chance, snapshots=snapshots)
        for number in range(size)
    ]
    founder = await members[0].start()
    for member in members[1:]:
        await member.start(await founder.invite(SECRET, role))
    await agree(members)
    return members


async def agree(members: list[PinsetMember], within: float = 600.0) -> None:
    """Wait until all that live hold the same pins, deletions and member list, and no forked log any more.

    Raises TimeoutError.
    """
    async with asyncio.timeout(within):
        while not await agreed(members):  # noqa: ASYNC110 - no single event says that several nodes agree
            await asyncio.sleep(1.0)


async def agreed(members: list[PinsetMember]) -> bool:
    living = [member.pinset for member in members if member.alive]
    if any(pinset.log.uncontained_logs() for pinset in living):
        return False
    digests = {await pinset.digest() for pinset in living}
    return len(digests) == 1 and len({pinset.members.digest() for pinset in living}) == 1
