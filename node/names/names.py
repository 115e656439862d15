"""Where mutable names lead: static names, IPNS records and DNSLinks, followed until content is reached."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from blockstore.common.guard import Guard
from blockstore.common.tasks import Tasks
from blockstore.errors import BlockstoreError
from blockstore.path import MAX_SEGMENTS, ContentPath
from node.config.sections import NamesConfig
from node.names import dnslink
from node.names.cache import Cache, CachedAnswer
from node.names.dns import TextLookup
from node.names.errors import (
    BadRecord,
    DnsFailure,
    NameNotFound,
    NamesError,
    NameTooDeep,
    RecordsUnavailable,
)
from node.names.ipns_record import IpnsRecord
from node.names.name import DomainName, IpnsName, Name, NamePath, Target, below
from node.names.record_routing import RecordRouting, ttl_of

MAX_DEPTH = 32  # names that may lead to names (boxo namesys)
_CACHED = 10_000  # names
_AT_ONCE = 64  # look-ups


@dataclass(frozen=True, slots=True)
class ResolvedName:
    """Where a path of a name leads.

    `ttl`: seconds that the answer may still be cached, bounded by the time left of every IPNS record on the
    way; None where only static names were followed, which say nothing of time. `names`: those followed.
    """

    path: ContentPath
    ttl: float | None
    names: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """An IPNS record, and the seconds that it may still be cached."""

    record: IpnsRecord
    ttl: float


Step = Target | IpnsRecord | NamesError
"""What one name leads to; an error is raised to the caller."""


class Names:
    """Made by `open_names`. Answers are cached for their TTL, then served stale while looked up again."""

    def __init__(
        self,
        static: Mapping[Name, Target],
        records: RecordRouting,
        texts: TextLookup,
        settings: NamesConfig,
        tasks: Tasks,
        now: Callable[[], float] = time.time,
        guard: Guard | None = None,
    ) -> None:
        self._guard = guard or Guard()
        self._static = static
        self._records = records
        self._texts = texts
        self._settings = settings
        self._now = now
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._cache: Cache[Name, Step] = Cache(self._look_up, tasks, now, _CACHED)

    async def resolve(self, path: NamePath, *, fetch: bool = True) -> ResolvedName:
        """Follow names to content; without `fetch`, IPNS by the records that are kept here.

        Raises NameNotFound, BadRecord, DnsFailure, NameTooDeep.
        """
        target: Target = path
        followed: list[Name] = []
        ttl: float | None = None
        while isinstance(target, NamePath):
            if target.name in followed:
                raise NameTooDeep(f"{path}: {target.name} leads back to itself")
            if len(followed) == MAX_DEPTH:
                raise NameTooDeep(f"{path}: more than {MAX_DEPTH} names lead to each other")
            followed.append(target.name)
            found, left = await self._step(target.name, fetch)
            if left is not None:
                ttl = left if ttl is None else min(ttl, left)
            target = _joined(found, target.segments)
        return ResolvedName(target, ttl, tuple(followed))

    async def record(self, name: IpnsName, *, fetch: bool = True) -> KeptRecord:
        """The newest record that could be had; without `fetch`, here. Raises NameNotFound."""
        found, left = await self._answer(name, fetch)
        if isinstance(found, IpnsRecord):
            return KeptRecord(found, left)
        assert isinstance(found, NamesError)  # a key's name leads to nothing else
        raise found.with_traceback(None)

    def changed(self, name: IpnsName) -> None:
        """There is another record of that name here: who asks next hears of it."""
        self._cache.forget(name)

    async def has_dnslink(self, host: str) -> bool:
        """Whether that host name (no port) leads somewhere; an IP address is never looked up."""
        try:
            await self._step(DomainName.parse(host))
        except NamesError:
            return False
        return True

    async def _step(self, name: Name, fetch: bool = True) -> tuple[Target, float | None]:
        """Where one name leads, and the seconds that stays so."""
        if (fixed := self._static.get(name)) is not None:
            return fixed, None
        found, left = await self._answer(name, fetch)
        if isinstance(found, NamesError):
            raise found.with_traceback(None)
        return (found.target if isinstance(found, IpnsRecord) else found), left

    async def _answer(self, name: Name, fetch: bool) -> tuple[Step, float]:
        """What the name leads to, and the seconds that stays so."""
        if fetch or not isinstance(name, IpnsName):
            return await self._cache.get(name)
        record = await self._records.here(name)
        if record is None:
            return NameNotFound(f"{name}: no record here, and none is asked for elsewhere"), 0.0
        return record, max(0.0, min(ttl_of(record), record.expires - self._now()))

    async def _look_up(self, name: Name) -> CachedAnswer[Step]:
        fault = RecordsUnavailable(f"{name} cannot be resolved: a fault of this node, its log says more")
        answer: CachedAnswer[Step] = CachedAnswer(fault, self._settings.negative_ttl, passing=True)
        async with self._slots:
            with self._guard.around("resolving", str(name)):
                answer = await self._looked_up(name)
        return answer

    async def _looked_up(self, name: Name) -> CachedAnswer[Step]:
        try:
            return await (self._ipns(name) if isinstance(name, IpnsName) else self._dnslink(name))
        except NamesError as error:
            return CachedAnswer(error, self._settings.negative_ttl, passing=isinstance(error, DnsFailure))
        except BlockstoreError as error:
            trouble = RecordsUnavailable(f"{name} cannot be resolved: {error}")
            return CachedAnswer(trouble, self._settings.negative_ttl, passing=True)

    async def _ipns(self, name: IpnsName) -> CachedAnswer[Step]:
        record = await self._records.newest(name)
        left = max(0.0, record.expires - self._now())
        ttl = min(ttl_of(record), left)
        return CachedAnswer(record, ttl, min(self._settings.stale, left - ttl))

    async def _dnslink(self, name: DomainName) -> CachedAnswer[Step]:
        found = await dnslink.look_up(name, self._texts)
        return CachedAnswer(found.target, found.ttl, self._settings.stale)


def _joined(target: Target, segments: tuple[str, ...]) -> Target:
    whole = below(target, segments)
    if len(whole.segments) > MAX_SEGMENTS:
        raise BadRecord(f"the path becomes longer than {MAX_SEGMENTS} segments")
    return whole
