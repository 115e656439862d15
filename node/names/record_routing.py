"""The newest IPNS record of a name: from here, from members, from wherever else records are found."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from blockstore.errors import StorageFull
from node.names.errors import NameNotFound
from node.names.ipns_record import IpnsRecord
from node.names.name import IpnsName
from node.names.record_store import Stored

_log = logging.getLogger(__name__)

DEFAULT_TTL = 60.0  # seconds, of a record that says none


class NameRouting(Protocol):
    """Where else records are to be found: members, a DHT, a delegated router."""

    async def find(self, name: IpnsName) -> Sequence[IpnsRecord]:
        """Verified records; none is no error. Ends in seconds."""
        ...


class RecordOutlet(Protocol):
    """Who is given records: members, a DHT, a delegated router."""

    async def publish(self, name: IpnsName, record: IpnsRecord) -> None:
        """Returns when enough have it. Raises NotPublished."""
        ...


class RecordRoute(NameRouting, RecordOutlet, Protocol):
    """A way by which records are found and given away."""


class RecordStorage(Protocol):
    """Where records are kept, one a name."""

    async def get(self, name: IpnsName) -> Stored | None:
        """Expired or not. Raises BlockstoreError."""
        ...

    async def put(self, name: IpnsName, record: IpnsRecord, now: float) -> IpnsRecord:
        """The newer of this one and the one there, which is kept. Raises BlockstoreError."""
        ...


class RecordRouting:
    """The store first; others are asked when it has none, or when its record is older than its TTL."""

    def __init__(
        self, store: RecordStorage, sources: Sequence[NameRouting], now: Callable[[], float]
    ) -> None:
        self._store = store
        self._sources = tuple(sources)
        self._now = now

    async def here(self, name: IpnsName) -> IpnsRecord | None:
        """The valid record in this node's own store."""
        return await valid_here(self._store, name, self._now())

    async def newest(self, name: IpnsName) -> IpnsRecord:
        """Raises NameNotFound."""
        stored = await self._store.get(name)
        now = self._now()
        if stored is not None and stored.record.expires > now:
            if stored.checked <= now < stored.checked + ttl_of(stored.record):
                return stored.record
            found = [stored.record]
        else:
            found = []
        for records in await asyncio.gather(*(source.find(name) for source in self._sources)):
            found += records
        if not found:
            raise NameNotFound(f"{name}: {self._why(stored is not None)}")
        return await self._keep(name, max(found, key=lambda one: one.order), now)

    async def _keep(self, name: IpnsName, record: IpnsRecord, now: float) -> IpnsRecord:
        """A full disk is no reason not to answer."""
        try:
            return await self._store.put(name, record, now)
        except StorageFull as error:
            _log.warning("the record of %s is not kept: %s", name, error)
            return record

    def _why(self, expired: bool) -> str:
        here = "the record here has expired" if expired else "no record here"
        return f"{here}, and {'none' if self._sources else 'no way to ask for one'} elsewhere"


async def valid_here(store: RecordStorage, name: IpnsName, now: float) -> IpnsRecord | None:
    """The record in that store, unless it has expired."""
    stored = await store.get(name)
    return stored.record if stored is not None and stored.record.expires > now else None


def ttl_of(record: IpnsRecord) -> float:
    return DEFAULT_TTL if record.ttl is None else record.ttl
