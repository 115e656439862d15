"""A token: a name, what it is for, and the hash of its text, which is told once and kept nowhere."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

from node.access.errors import BadToken
from node.access.rights import TokenScope

PREFIX = "pft_"
"""Every token begins so: what is found in a log or a repository can be told for what it is."""

_BYTES = 32  # of randomness: no rate of guessing finds it, so one round of SHA-256 keeps it
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAMED_SO = "1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first"


@dataclass(frozen=True, slots=True)
class Token:
    """`owner` limits it to pins of that owner; empty = none. `created`: seconds since 1970."""

    name: str
    scope: TokenScope
    owner: str
    created: float
    digest: bytes

    def check(self) -> None:
        """Raises BadToken."""
        if not _NAME.fullmatch(self.name):
            raise BadToken(f'"{self.name[:64]}" is no name of a token: it has {_NAMED_SO}')
        if self.owner and not _NAME.fullmatch(self.owner):
            raise BadToken(f'"{self.owner[:64]}" is no name of an owner: it has {_NAMED_SO}')
        if self.owner and self.scope is TokenScope.ADMIN:
            raise BadToken("an admin is limited to no owner: leave one of the two out")


def new_text() -> str:
    """What a caller shows: 47 characters."""
    return PREFIX + secrets.token_urlsafe(_BYTES)


def digest_of(text: str) -> bytes:
    """By which a token is found and kept."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()
