"""Which peers may speak on a network: any on the open one, members alone on the members' own.

A peer that once held a join token knows the private network's key and can connect for ever. So a connection
gives nothing there but the calls that are needed to become a member. Why: docs/decisions/0006-membership.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Protocol


class Gate(Protocol):
    """Asked on both threads."""

    def knows(self, peer: str) -> bool:
        """Whether that peer belongs here: it is kept when others have to go."""
        ...

    def speaks(self, peer: str) -> bool:
        """Whether anything but identify, ping and calls passes between us and that peer."""
        ...

    def may_call(self, peer: str, method: str) -> bool: ...

    def expels(self, peer: str) -> bool:
        """Whether that peer has no business here, and is disconnected unless that changes soon."""
        ...

    def on_change(self, handler: Callable[[], None]) -> None:
        """Hear, on the loop, that answers may be others from now on."""
        ...


class OpenGate:
    """Any peer may speak, and none is known."""

    def knows(self, peer: str) -> bool:
        return False

    def speaks(self, peer: str) -> bool:
        return True

    def may_call(self, peer: str, method: str) -> bool:
        return True

    def expels(self, peer: str) -> bool:
        return False

    def on_change(self, handler: Callable[[], None]) -> None:
        """Nothing ever changes."""


class MembersGate:
    """Shut until `admit` is first called, but for `open_calls`: methods by which one becomes a member."""

    def __init__(self, us: str, open_calls: Collection[str] = ()) -> None:
        self._us = us
        self._open_calls = frozenset(open_calls)
        self._members: frozenset[str] | None = None  # replaced, never changed: the other thread reads it
        self._handlers: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"<MembersGate: {len(self._members or ())} members>"

    def admit(self, members: Iterable[str]) -> None:
        """These are the members now, ourselves among them if we are one."""
        listed = frozenset(members)
        if listed != self._members:
            self._members = listed
            for handler in tuple(self._handlers):
                handler()

    def knows(self, peer: str) -> bool:
        return peer in (self._members or ())

    def speaks(self, peer: str) -> bool:
        members = self._members or ()
        return peer in members and self._us in members

    def may_call(self, peer: str, method: str) -> bool:
        return method in self._open_calls or self.speaks(peer)

    def expels(self, peer: str) -> bool:
        return self._members is not None and peer not in self._members

    def on_change(self, handler: Callable[[], None]) -> None:
        self._handlers.append(handler)
