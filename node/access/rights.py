"""What a request needs, and what a caller has: one order, in which each right has those before it."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Right(IntEnum):
    """How much a caller may do.

    Upkeep is of this node alone (garbage, checks, the log); power is over the cluster: who belongs to it, and
    who may call.
    """

    NONE = 0
    READ = 1
    PIN = 2
    UPKEEP = 3
    POWER = 4


class TokenScope(StrEnum):
    """What a token is for."""

    READ = "read"
    PIN = "pin"
    ADMIN = "admin"

    @property
    def right(self) -> Right:
        return _RIGHTS[self]


_RIGHTS = {TokenScope.READ: Right.READ, TokenScope.PIN: Right.PIN, TokenScope.ADMIN: Right.POWER}
