"""Who holds the places for accepted connections, and who goes when they run out. Pure: events in.

A connection is *unproven* until it is authenticated. The two kinds have places of their own, so that silent
connections keep no peer out: when those of a kind are all taken, one of them is ended for the new one. First
to go are the many of one address; among them the oldest unproven one, or the proven one of least use. What
is known (members, peers we want) stays; a peer that was of use a moment ago gives way to those alone.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_UNPROVEN = 64
SPEAKS_WITHIN = 1.0  # seconds in which nothing is made of a connection's silence
RECENT = 120.0  # seconds for which a peer that was of use is kept before others
_SHARE = 8  # an address with more than an eighth of the places is the first to lose one,
_LEAST_SHARE = 2  # but never one with so few
_V6_SITE = 64  # bits of an IPv6 address that one machine may choose below freely


class Full(Exception):
    """All places are taken, and no connection has to go for this one."""


@dataclass(slots=True, eq=False)
class Place:
    """One accepted connection; `end` ends it. Times are seconds of one clock."""

    address: str
    since: float
    end: Callable[[], object] = field(repr=False)
    has_spoken: bool = False
    peer: str = ""
    used: float = float("-inf")  # when it last was of use

    def spoke(self) -> None:
        """It knows the protocol."""
        self.has_spoken = True


def site_of(host: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that an IPv6 address lies in."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((address, _V6_SITE), strict=False))
    return str(address)


class Places:
    """`most`: proven connections. `known`: whether a peer stays, whichever others come."""

    def __init__(self, most: int, known: Callable[[str], bool], most_unproven: int = MOST_UNPROVEN) -> None:
        self._most = most
        self._most_unproven = most_unproven
        self._known = known
        self._unproven: dict[Place, None] = {}  # these two in the order they came
        self._proven: dict[Place, None] = {}

    def __repr__(self) -> str:
        return f"<Places: {len(self._proven)} of {self._most} taken, {len(self._unproven)} unproven>"

    def enter(self, host: str, now: float, end: Callable[[], object]) -> Place:
        """A connection was accepted; another unproven one may have to go for it."""
        place = Place(site_of(host), now, end)
        if len(self._unproven) >= self._most_unproven:
            self._end(min(self._unproven, key=self._unproven_rank(now)))
        self._unproven[place] = None
        return place

    def prove(self, place: Place, peer: str) -> None:
        """It is that peer's. Raises Full."""
        self._unproven.pop(place, None)
        place.peer = peer
        if len(self._proven) >= self._most:
            self._make_room(place)
        self._proven[place] = None

    def use(self, peer: str, now: float) -> None:
        """That peer gave us, or took of us, what one connects for."""
        for place in self._proven:
            if place.peer == peer:
                place.used = now

    def leave(self, place: Place) -> None:
        self._unproven.pop(place, None)
        self._proven.pop(place, None)

    def _unproven_rank(self, now: float) -> Callable[[Place], tuple[int, bool, float]]:
        """The lowest goes: of the address with the most, what had time to speak and did not, the oldest."""
        crowd = Counter(place.address for place in self._unproven)
        silent = now - SPEAKS_WITHIN
        return lambda place: (-crowd[place.address], place.has_spoken or place.since > silent, place.since)

    def _make_room(self, newcomer: Place) -> None:
        strangers = [place for place in self._proven if not self._known(place.peer)]
        crowd = Counter(place.address for place in strangers)
        crowd[newcomer.address] += 1
        share = max(_LEAST_SHARE, self._most // _SHARE)
        crowds = {address: count for address, count in crowd.items() if count > share}
        of_peer = Counter(place.peer for place in strangers)

        def rank(place: Place) -> tuple[int, bool, float, float]:
            return -crowds.get(place.address, 0), of_peer[place.peer] < 2, place.used, place.since

        victim = min(strangers, key=rank, default=None)
        if victim is None:
            if self._known(newcomer.peer):
                return  # all others are known too: one more of them is no harm
            raise Full
        in_use = victim.used > newcomer.since - RECENT and not crowds.get(victim.address)
        if in_use and not self._known(newcomer.peer):
            raise Full
        self._end(victim)

    def _end(self, place: Place) -> None:
        self.leave(place)
        place.end()
