"""How many connections are open, how many of one address, and who goes when there is no room.

Plain and synchronous: a guest is whatever stands for a connection.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Guest = TypeVar("Guest", bound=Hashable)


class NoRoom(Exception):
    """A connection that cannot be had now; the text is for the client."""


class Door(Generic[Guest]):
    """Counts guests in and out: at most `most`, and `share` of one address.

    Where there is no room the guest goes first that has waited longest for its next request; one whose
    request is being answered never does.
    """

    def __init__(self, most: int, share: int = 0) -> None:
        """A share of 0 is all there is."""
        self.most = most
        self.share = share or most
        self._keys: dict[Guest, bytes] = {}
        self._counts: Counter[bytes] = Counter()
        self._idle: OrderedDict[Guest, None] = OrderedDict()
        self._idle_of: dict[bytes, OrderedDict[Guest, None]] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def enter(self, guest: Guest, key: bytes) -> Guest | None:
        """Let one in; who has to go for it. Whose it is says `key`; an empty one has no share to keep to.

        Raises NoRoom.
        """
        gone = self._who_goes(key)
        if gone is not None:
            self.leave(gone)
        self._keys[guest] = key
        self._counts[key] += 1
        self.rest(guest)
        return gone

    def leave(self, guest: Guest) -> None:
        """One that has left is not counted out again."""
        key = self._keys.pop(guest, None)
        if key is None:
            return
        self._counts[key] -= 1
        self._not_idle(guest, key)
        if not self._counts[key]:
            del self._counts[key]

    def begin(self, guest: Guest) -> None:
        """A request of this guest is being answered."""
        key = self._keys.get(guest)
        if key is not None:
            self._not_idle(guest, key)

    def rest(self, guest: Guest) -> None:
        """Nothing is: from now on it waits."""
        key = self._keys.get(guest)
        if key is None:
            return
        self._idle[guest] = None
        if key:
            self._idle_of.setdefault(key, OrderedDict())[guest] = None

    def _who_goes(self, key: bytes) -> Guest | None:
        if key and self._counts[key] >= self.share:
            return _oldest(self._idle_of.get(key), f"too many connections: an address has {self.share}")
        if len(self._keys) >= self.most:
            return _oldest(self._idle, "too many connections")
        return None

    def _not_idle(self, guest: Guest, key: bytes) -> None:
        self._idle.pop(guest, None)
        if key and (of_key := self._idle_of.get(key)):
            of_key.pop(guest, None)
            if not of_key:
                del self._idle_of[key]


def _oldest(guests: OrderedDict[Guest, None] | None, otherwise: str) -> Guest:
    if not guests:
        raise NoRoom(otherwise)
    return next(iter(guests))
