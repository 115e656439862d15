"""The list of all statuses, page by page: this member walks its pinset, and asks all for the same key ranges.

In memory are one page and what an older member's own page has beyond it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Set

from blockstore.cid import CID
from cluster.calls.client import MemberClient, MethodMissing
from cluster.calls.global_page import GlobalPage, MemberStatuses, answered, failing, mentioned
from cluster.calls.older_member import OlderMember
from cluster.common.pin_glance import PinGlance, glances
from cluster.errors import BadUpdate
from cluster.interfaces import Member, PinsetReader
from cluster.pin import KeyRange, PinInfo, Status
from cluster.ports import CallFailed, PeerOffline
from cluster.tracking.status_columns import StatusColumns
from cluster.tracking.tracker import MAX_PAGE

FIRST_PAGE = 100  # pins: the first byte comes soon
PAGE = 900  # pins; members have room for a few more, that are on their way

Columns = Callable[[KeyRange], Awaitable[StatusColumns]]
"""One member's statuses of a range. Raises CallFailed, PeerOffline."""


def remote_columns(client: MemberClient, member: Member, wanted: frozenset[Status]) -> Columns:
    """Those of another member, asked as it can answer."""
    older: list[OlderMember] = []

    async def columns(keys: KeyRange) -> StatusColumns:
        if not older:
            try:
                return await client.columns(member, wanted, keys, MAX_PAGE)
            except MethodMissing:
                older.append(OlderMember(lambda after: client.page(member, wanted, after)))
        return await older[0].read(keys, MAX_PAGE)

    return columns


class StatusPages:
    """One listing, in order; `failure` is what is shown of a member that fails."""

    def __init__(
        self,
        pinset: PinsetReader,
        ask: Mapping[Member, Columns],
        failure: Callable[[Member, Exception], PinInfo],
        failures: bool,
    ) -> None:
        """`failures`: a failed member is shown also where no other one says anything."""
        self._pinset = pinset
        self._ask = dict(ask)
        self._failure = failure
        self._failures = failures
        self._failed: list[MemberStatuses] = []

    async def pages(self) -> AsyncGenerator[GlobalPage]:
        """Raises BadUpdate for a pin that cannot be read here, once all the others were given."""
        unreadable: list[BadUpdate] = []
        keys = KeyRange()
        stored = await self._pinset.stored(keys, FIRST_PAGE)
        while keys.after < keys.until:
            answers, following = await asyncio.gather(
                self._answers(keys.cut(stored.until)), self._pinset.stored(KeyRange(stored.until), PAGE)
            )
            until = min([stored.until, *(answer.until for answer in answers.values())])
            pins, odd = glances(stored, until)
            unreadable += odd.values()
            del unreadable[1:]
            yield await self._page(KeyRange(keys.after, until), answers, pins, odd)
            keys = KeyRange(until)
            stored = following if until == stored.until else await self._pinset.stored(keys, PAGE)
        for error in unreadable:
            raise error

    async def _answers(self, keys: KeyRange) -> dict[Member, StatusColumns]:
        """Of all that answer: each is asked until it fails."""
        asked = list(self._ask)
        answers = await asyncio.gather(*(self._ask[one](keys) for one in asked), return_exceptions=True)
        found: dict[Member, StatusColumns] = {}
        for member, answer in zip(asked, answers, strict=True):
            if isinstance(answer, CallFailed | PeerOffline):
                self._give_up(member, answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found[member] = answer
        return found

    def _give_up(self, member: Member, error: Exception) -> None:
        del self._ask[member]
        self._failed.append(failing(member, self._failure(member, error)))

    async def _page(
        self,
        keys: KeyRange,
        answers: Mapping[Member, StatusColumns],
        pins: dict[bytes, PinGlance],
        odd: Mapping[bytes, BadUpdate],
    ) -> GlobalPage:
        said = {member: answered(member, answer, keys.until) for member, answer in answers.items()}
        for member in [one for one, statuses in said.items() if _is_made_up(statuses, pins)]:
            del said[member]
            self._give_up(member, CallFailed("answered what cannot be read: keys that are no CIDs"))
        shown = pins.keys() | (mentioned(said.values()) - odd.keys())
        if len(shown) > len(pins):
            pins |= await self._written_since(keys, shown - pins.keys())
        members = sorted([*said.values(), *self._failed], key=lambda one: one.peer)
        return GlobalPage(sorted(shown), pins, members, self._failures)

    async def _written_since(self, keys: KeyRange, cids: Set[bytes]) -> dict[bytes, PinGlance]:
        """Pins that others knew before: this member's pinset may have them by now."""
        pins, _ = glances(await self._pinset.stored(keys, PAGE), keys.until)
        return {key: pin for key, pin in pins.items() if key in cids}


def _is_made_up(statuses: MemberStatuses, pins: Mapping[bytes, PinGlance]) -> bool:
    """Whether it names what is no CID."""
    try:
        for key in mentioned([statuses]) - pins.keys():
            CID.decode(key)
    except ValueError:
        return True
    return False
