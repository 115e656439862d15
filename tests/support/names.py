"""Names of a node in a test: a folder, a clock that the test moves, members and keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.interfaces import Member, Role
from cluster.ports import PeerCalls
from node.config.sections import NamesConfig
from node.datadir.keystore import Keystore
from node.datadir.private_key import PrivateKey
from node.names.ipns_record import IpnsRecord
from node.names.name import IpnsName
from node.names.open_names import OpenNames, open_names
from node.names.record_routing import RecordRoute
from node.names.surroundings import NameCluster, NameWorld
from node.offline_network import NoNetwork
from support.memory_members import MemoryMembers

START = 1_800_000_000.0


class Clock:
    """Seconds since 1970, as the test has them."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> float:
        return self.time


@dataclass(frozen=True, slots=True)
class NamesSetup:
    """One member of `trusted` and `followers`, and what surrounds it."""

    settings: NamesConfig
    clock: Clock
    calls: PeerCalls | None = None
    us: str = "one"
    trusted: Sequence[str] = ()
    followers: Sequence[str] = ()
    static: str = ""
    routing: Sequence[RecordRoute] = ()
    offline: bool = False

    def by(self, us: str, calls: PeerCalls) -> NamesSetup:
        """The same for another member."""
        return replace(self, us=us, calls=calls)


@asynccontextmanager
async def opened_names(folder: Path, setup: NamesSetup) -> AsyncIterator[OpenNames]:
    """Names on that folder, which is made where it is not there."""
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    calls = setup.calls or NoNetwork()
    members = [Member(peer, peer, Role.TRUSTED) for peer in setup.trusted]
    members += [Member(peer, peer, Role.FOLLOWER) for peer in setup.followers]
    own = PrivateKey.from_seed(setup.us.encode().ljust(32))
    async with open_names(
        setup.settings,
        folder / "names.db",
        Keystore(folder / "keystore", own),
        NameCluster(setup.us, calls, MemoryMembers(members), calls.peers),
        NameWorld(setup.routing, setup.offline, {"IPFS_NS_MAP": setup.static}, setup.clock),
    ) as opened:
        yield opened


class MemoryRoute:
    """Satisfies RecordRoute: it has what it was given, byte for byte, until it is `down`."""

    def __init__(self) -> None:
        self.records: dict[IpnsName, IpnsRecord] = {}
        self.given = 0
        self.asked: list[IpnsName] = []

    async def find(self, name: IpnsName) -> list[IpnsRecord]:
        self.asked.append(name)
        return [self.records[name]] if name in self.records else []

    async def publish(self, name: IpnsName, record: IpnsRecord) -> None:
        self.given += 1
        self.records[name] = record
