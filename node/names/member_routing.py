"""IPNS records from the other members, and for them: the calls `names/get`, `names/put` and `names/list`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from blockstore.common.guard import Guard
from cluster.common.methods import NAMES_GET, NAMES_LIST, NAMES_PUT, serve
from cluster.common.wire import Fields, Wire, encode
from cluster.errors import BadUpdate
from cluster.interfaces import Membership
from cluster.ports import CallFailed, PeerCalls, PeerOffline
from node.names.errors import BadRecord
from node.names.ipns_record import MAX_BYTES, IpnsRecord, verify
from node.names.name import IpnsName

MAX_NAMES = 1000
"""In one answer to `names/list`."""

_ASKED = 8  # members at a time
_SECONDS = 3.0
_MAX_MULTIHASH = 64
_MAX_LIST = 128 * 1024


@dataclass(frozen=True, slots=True)
class ListedName:
    """A name that members published, and the order of the record that one of them has."""

    name: IpnsName
    order: tuple[int, float]


class OwnRecords(Protocol):
    """What this node answers members from."""

    async def here(self, name: IpnsName) -> IpnsRecord | None:
        """The valid record of that name."""
        ...

    async def take(self, name: IpnsName, data: bytes) -> None:
        """A member published that. Raises BadRecord, TooManyNames."""
        ...

    async def listed(self, after: IpnsName | None) -> Sequence[ListedName]:
        """Names that members published, in order of their bytes: MAX_NAMES at most, the next ones."""
        ...


class MemberRouting:
    """`names/get`: the name's multihash, and the record's bytes, none where there is no valid one."""

    def __init__(self, calls: PeerCalls, members: Membership, now: Callable[[], float], guard: Guard) -> None:
        self._calls = calls
        self._members = members
        self._now = now
        self._guard = guard

    def serve(self, records: OwnRecords) -> None:
        """Answer members from these."""

        async def get(peer: str, request: bytes) -> bytes:
            record = await records.here(IpnsName(request))
            return record.raw if record is not None else b""

        async def put(peer: str, request: bytes) -> bytes:
            fields = Fields.decode(request, _MAX_MULTIHASH + MAX_BYTES + 64)
            await records.take(
                IpnsName(fields.data("name", _MAX_MULTIHASH)), fields.data("record", MAX_BYTES)
            )
            return b""

        async def list_(peer: str, request: bytes) -> bytes:
            return _list_answer(await records.listed(IpnsName(request) if request else None))

        for method, handler in ((NAMES_GET, get), (NAMES_PUT, put), (NAMES_LIST, list_)):
            serve(self._calls, self._members, method, handler)

    def connected(self) -> frozenset[str]:
        """Members that can be asked now."""
        return self._calls.peers()

    async def find(self, name: IpnsName) -> list[IpnsRecord]:
        """Valid records of some connected members, each verified here."""
        peers = sorted(self._calls.peers())[:_ASKED]
        answers = await asyncio.gather(*(self.ask(peer, name) for peer in peers))
        return [record for record in answers if record is not None]

    async def publish(self, name: IpnsName, record: IpnsRecord) -> None:
        """To every connected member; those that are away ask when they are back."""
        request = encode({"name": name.multihash, "record": record.raw})
        slots = asyncio.Semaphore(_ASKED)

        async def tell(peer: str) -> None:
            async with slots:
                with self._guard.around("telling a record to", peer, CallFailed, PeerOffline):
                    await self._calls.call(peer, NAMES_PUT.name, request, timeout=_SECONDS)

        await asyncio.gather(*map(tell, self._calls.peers()))

    async def names_of(self, peer: str, after: IpnsName | None) -> list[ListedName]:
        """The next names of that member's list. Raises CallFailed, PeerOffline, BadUpdate."""
        request = after.multihash if after else b""
        return _read_list(await self._calls.call(peer, NAMES_LIST.name, request, timeout=_SECONDS))

    async def ask(self, peer: str, name: IpnsName) -> IpnsRecord | None:
        """None of one that fails: another member may have a good one."""
        found: list[IpnsRecord] = []
        with self._guard.around("a record asked of", peer, CallFailed, PeerOffline, BadRecord):
            data = await self._calls.call(peer, NAMES_GET.name, name.multihash, timeout=_SECONDS)
            if data:
                found.append(verify(name, data, self._now()))
        return found[0] if found else None


def _list_answer(names: Sequence[ListedName]) -> bytes:
    listed: list[Wire] = []
    for one in names:
        listed += [one.name.multihash, *one.order]
    return encode({"names": listed})


def _read_list(data: bytes) -> list[ListedName]:
    """Raises BadUpdate."""
    flat = Fields.decode(data, _MAX_LIST).items("names", 3 * MAX_NAMES)
    return [_listed(flat[place : place + 3]) for place in range(0, len(flat), 3)]


def _listed(values: list[Wire]) -> ListedName:
    match values:
        case [bytes(multihash), int(sequence), float() | int() as expires] if (
            len(multihash) <= _MAX_MULTIHASH
        ):
            return ListedName(IpnsName(multihash), (sequence, float(expires)))
    raise BadUpdate("a list of names holds something else")
