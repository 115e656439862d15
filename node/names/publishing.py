"""Names published: records signed with a key of this node, kept, and given to members and to routing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from blockstore.common.guard import Guard
from node.datadir.private_key import PrivateKey
from node.names.errors import BadRecord, NameNotFound, NotPublished, OlderRecord
from node.names.ipns_record import IpnsRecord, verify
from node.names.member_routing import MAX_NAMES, ListedName
from node.names.name import IpnsName, Target
from node.names.record_routing import RecordOutlet, valid_here
from node.names.record_store import RecordStore
from node.names.signing import RecordContent, name_of, signed

LIFETIME = 48 * 3600.0  # seconds that a record is valid, as Kubo's
TTL = 300.0  # seconds that its answer may be cached, as Kubo's

_AWAY = 1.5  # periods after which who publishes a name counts as gone, and another member does it
_SOON = 60.0  # seconds until what no router took is tried again
_LONGEST = 90.0  # seconds that one outlet may take

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Publication:
    """Where a name is to lead. Seconds: valid for `lifetime` and renewed until then, cached for `ttl`.

    `sequence` None is the next one.
    """

    target: Target
    lifetime: float = LIFETIME
    ttl: float = TTL
    sequence: int | None = None
    v1: bool = True


@dataclass(frozen=True, slots=True)
class PublishingContext:
    """What publishing needs of the rest of a node.

    `newest` raises NameNotFound; `changed` hears of each name. A record goes to all members and to `routers`,
    one that is not a member's to these alone. `period`: seconds after which it is published again.
    """

    newest: Callable[[IpnsName], Awaitable[IpnsRecord]]
    changed: Callable[[IpnsName], None]
    members: RecordOutlet
    routers: Sequence[RecordOutlet]
    period: float
    now: Callable[[], float]
    guard: Guard


class Publishing:
    """Satisfies OwnRecords. A record is on the disk here before others hear of it."""

    def __init__(self, store: RecordStore, around: PublishingContext) -> None:
        self._store = store
        self._around = around
        self._signing = asyncio.Lock()

    async def publish(self, key: PrivateKey, wish: Publication) -> IpnsRecord:
        """Sign the name's next record, keep it, and give it to others.

        Raises BadRecord, OlderRecord, TooManyNames.
        """
        name = name_of(key)
        least = await self._next(name)
        async with self._signing:
            record = await self._made(key, wish, max(least, await self._next_here(name)))
            now = self._around.now()
            await self._store.publish(name, record, now, now + self._around.period, wish.lifetime)
        await self._give(name, record)
        return record

    async def renew(self, key: PrivateKey, record: IpnsRecord, lifetime: float) -> None:
        """The same record with a later end. Raises BadRecord, OlderRecord, TooManyNames."""
        name, now = name_of(key), self._around.now()
        ttl = TTL if record.ttl is None else record.ttl
        end = max(now + lifetime, record.expires)
        data = await asyncio.to_thread(signed, key, RecordContent(record.value, record.sequence, end, ttl))
        await self.keep(name, data, lifetime)

    async def keep(self, name: IpnsName, data: bytes, lifetime: float | None = None) -> IpnsRecord:
        """A record that was signed elsewhere, for good. Raises BadRecord, OlderRecord, TooManyNames."""
        now = self._around.now()
        record = verify(name, data, now)
        kept = await self._store.publish(name, record, now, now + self._around.period, lifetime)
        check_kept(name, record, kept)
        await self._give(name, record)
        return record

    async def relay(self, name: IpnsName, data: bytes) -> IpnsRecord:
        """A stranger's record: kept as one that was seen, and given to routers.

        Raises BadRecord, OlderRecord.
        """
        record = verify(name, data, self._around.now())
        check_kept(name, record, await self._store.put(name, record, self._around.now()))
        self._around.changed(name)
        await self._tell(self._around.routers, name, record)
        return record

    async def again(self, name: IpnsName, record: IpnsRecord) -> None:
        """A record that another node signed, once more."""
        await self._store.postpone(name, self._around.now() + self._around.period)
        await self._give(name, record)

    async def here(self, name: IpnsName) -> IpnsRecord | None:
        """See OwnRecords."""
        return await valid_here(self._store, name, self._around.now())

    async def take(self, name: IpnsName, data: bytes) -> None:
        """See OwnRecords."""
        now = self._around.now()
        record = verify(name, data, now)
        await self._store.publish(name, record, now, now + _AWAY * self._around.period)
        self._around.changed(name)

    async def listed(self, after: IpnsName | None) -> list[ListedName]:
        """See OwnRecords."""
        return [
            ListedName(one.name, one.record.order) for one in await self._store.published(after, MAX_NAMES)
        ]

    async def older_here(self, listed: Sequence[ListedName]) -> list[IpnsName]:
        """Those of which no record as new is here."""
        older = []
        for one in listed:
            stored = await self._store.get(one.name)
            if stored is None or stored.record.order < one.order:
                older.append(one.name)
        return older

    async def _made(self, key: PrivateKey, wish: Publication, least: int) -> IpnsRecord:
        sequence = least if wish.sequence is None else wish.sequence
        if sequence < least:
            raise OlderRecord(
                f"sequence {sequence} is not above {least - 1}, the one of the name's newest record"
            )
        content = RecordContent(
            str(wish.target), sequence, self._around.now() + wish.lifetime, wish.ttl, wish.v1
        )
        data = await asyncio.to_thread(signed, key, content)
        return verify(name_of(key), data, self._around.now())

    async def _next(self, name: IpnsName) -> int:
        """The sequence above those that others know."""
        try:
            return (await self._around.newest(name)).sequence + 1
        except (NameNotFound, BadRecord):
            return 0

    async def _next_here(self, name: IpnsName) -> int:
        stored = await self._store.get(name)
        return 0 if stored is None else stored.record.sequence + 1

    async def _give(self, name: IpnsName, record: IpnsRecord) -> None:
        self._around.changed(name)
        await self._around.members.publish(name, record)
        if self._around.routers and not await self._tell(self._around.routers, name, record):
            await self._store.postpone(name, self._around.now() + min(_SOON, self._around.period))

    async def _tell(self, outlets: Sequence[RecordOutlet], name: IpnsName, record: IpnsRecord) -> bool:
        """Whether any took it."""
        return any(await asyncio.gather(*(self._told(outlet, name, record) for outlet in outlets)))

    async def _told(self, outlet: RecordOutlet, name: IpnsName, record: IpnsRecord) -> bool:
        with self._around.guard.around("publishing", str(name)):
            try:
                async with asyncio.timeout(_LONGEST):
                    await outlet.publish(name, record)
            except (NotPublished, TimeoutError) as error:
                _log.warning("%s is not published by one of its ways: %s", name, error or "it takes too long")
            else:
                return True
        return False


def check_kept(name: IpnsName, record: IpnsRecord, kept: IpnsRecord) -> None:
    """Raises OlderRecord where another record than this one is kept."""
    if kept.raw != record.raw:
        raise OlderRecord(
            f"the record of {name} with sequence {record.sequence} is not stored: "
            f"one with sequence {kept.sequence} is here, and it is newer"
        )
