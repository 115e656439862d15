"""This member's own quota in the pinset: what is being written counts as held until it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cluster.errors import MemberQuotaReached
from cluster.pinset.changes import PinWrite
from cluster.pinset.tables.live_entries import NOTHING_LIVE, LiveEntries, MemberQuota


class QuotaClaim:
    """What one call writes. Each pin counts as one more, though it may replace one."""

    def __init__(self, allowed: Callable[[LiveEntries], MemberQuotaReached | None], *, is_free: bool) -> None:
        """`is_free`: there is no quota."""
        self._allowed = allowed
        self._is_free = is_free
        self.held = NOTHING_LIVE

    def take(self, write: PinWrite) -> MemberQuotaReached | None:
        """What forbids it, if anything does."""
        if self._is_free:
            return None
        more = LiveEntries(1, write.pin.size if write.pin else 0)
        error = self._allowed(more)
        if error is None:
            self.held += more
        return error


class OwnQuota:
    """`live`: what this member holds by now."""

    def __init__(self, quota: MemberQuota, live: Callable[[], LiveEntries]) -> None:
        self._quota = quota
        self._live = live
        self._claims: list[QuotaClaim] = []

    @contextmanager
    def claim(self) -> Iterator[QuotaClaim]:
        """For the writes of the block."""
        claim = QuotaClaim(self._forbidden, is_free=not self._quota)
        self._claims.append(claim)
        try:
            yield claim
        finally:
            self._claims.remove(claim)

    def _forbidden(self, more: LiveEntries) -> MemberQuotaReached | None:
        held = sum((claim.held for claim in self._claims), self._live())
        if not self._quota.forbids(held, more):
            return None
        return MemberQuotaReached(
            f"this member holds {held.pins} pins of {held.bytes / (1 << 20):.1f} MiB in the pinset, and"
            " cluster.member_pins or cluster.member_mib lets it hold no more: unpin some, or raise that on"
            " every member"
        )
