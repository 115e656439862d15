"""The audit log: lines of JSON in a few files, the oldest of which goes when there is no more room.

A record is in the system's hands before its request is answered, so it outlives the process that wrote it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from blockstore.common.token_bucket import TokenBucket
from node.audit.audit_files import FILES, AuditFiles
from node.audit.audit_query import AuditQuery
from node.audit.record import AuditRecord

MAX_FOLLOWERS = 16
_WAITING = 1000  # records that one who follows may be behind
_REFUSALS_A_SECOND, _REFUSALS_AT_ONCE = 1.0, 100  # of callers who proved nothing: they push nothing else out
_UNKNOWN = 401

_log = logging.getLogger(__name__)


class TooManyFollowers(Exception):
    """Another one that wants to hear of each record."""

    def __init__(self) -> None:
        super().__init__(f"{MAX_FOLLOWERS} follow the audit log already: end one of them first")


class FollowerBehind(Exception):
    """One that follows read more slowly than records came."""

    def __init__(self) -> None:
        super().__init__(f"more than {_WAITING} records came that were not read: ask again")


class AuditLog:
    """Made for one folder, whose node is its only writer. `keep`: bytes in all; 0 keeps nothing."""

    def __init__(
        self,
        path: Path,
        keep: int,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = AuditFiles(path, keep // FILES) if keep else None
        self._now = now
        self._clock = clock
        self._refusals = TokenBucket(_REFUSALS_A_SECOND, _REFUSALS_AT_ONCE)
        self._left_out = 0
        self._failing = False
        self._followers: set[_Follower] = set()

    def add(self, record: AuditRecord) -> None:
        """Write it down. A disk that refuses is told once in the log, and stops no request."""
        if self._files is None:
            return
        if record.status == _UNKNOWN and self._refusals.take(1, self._clock()):
            self._left_out += 1
            return
        record = replace(record, time=self._now(), left_out=self._left_out)
        self._left_out = 0
        for follower in self._followers:
            follower.tell(record)
        try:
            self._files.append(record.line())
        except OSError as error:
            self._complain(self._files, error)
        else:
            self._failing = False

    def close(self) -> None:
        """Nothing is open any more; what is added afterwards opens it again."""
        if self._files is not None:
            self._files.close()

    def newest(self, query: AuditQuery, limit: int) -> list[AuditRecord]:
        """The last `limit` that fit, oldest first. Reads files: not for the event loop.

        Raises AuditUnreadable.
        """
        found: deque[AuditRecord] = deque()
        for record in self._files.backwards() if self._files is not None else ():
            if len(found) >= limit:
                break
            if query.fits(record):
                found.appendleft(record)
        return list(found)

    @contextmanager
    def following(self, query: AuditQuery, limit: int) -> Iterator[AsyncGenerator[AuditRecord]]:
        """`newest`, and then each one as it comes. Raises TooManyFollowers.

        Reading them raises AuditUnreadable, and FollowerBehind for who is too slow.
        """
        if len(self._followers) >= MAX_FOLLOWERS:
            raise TooManyFollowers
        follower = _Follower()
        self._followers.add(follower)
        try:
            yield self._told(follower, query, limit)
        finally:
            self._followers.discard(follower)

    async def _told(self, follower: _Follower, query: AuditQuery, limit: int) -> AsyncGenerator[AuditRecord]:
        before = await asyncio.to_thread(self.newest, query, limit)
        for known in before:
            yield known
        seen = set(before)  # what came while the files were read is in both
        while (record := await follower.next()) is not None:
            if query.fits(record) and record not in seen:
                yield record

    def end_followers(self) -> None:
        """The node ends: so do those who follow, once they have read what came."""
        for follower in self._followers:
            follower.end()

    def _complain(self, files: AuditFiles, error: OSError) -> None:
        if not self._failing:
            _log.error("%s cannot be written (%s): what is changed is not recorded", files.path, error)
        self._failing = True


class _Follower:
    """Records on their way to one who follows."""

    def __init__(self) -> None:
        self._records: deque[AuditRecord] = deque()
        self._news = asyncio.Event()
        self._is_behind = False
        self._has_ended = False

    def end(self) -> None:
        self._has_ended = True
        self._news.set()

    def tell(self, record: AuditRecord) -> None:
        self._is_behind = self._is_behind or len(self._records) >= _WAITING
        if not self._is_behind:
            self._records.append(record)
        self._news.set()

    async def next(self) -> AuditRecord | None:
        """None when there will be no more. Raises FollowerBehind."""
        while not self._records:
            if self._has_ended:
                return None
            if self._is_behind:
                raise FollowerBehind
            self._news.clear()
            await self._news.wait()
        return self._records.popleft()
