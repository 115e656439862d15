"""How work with tokens fails; each text says what to do."""

from __future__ import annotations

from node.errors import NodeError


class AccessError(NodeError):
    """Every error of this room."""


class BadToken(AccessError):
    """A token that cannot be made so: its name, its owner, or both together."""


class TokenExists(AccessError):
    """There is one of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f'there is a token "{name}": revoke it first, or take another name')


class UnknownToken(AccessError):
    """There is none of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f'there is no token "{name}": `pinfold token list` has those that there are')


class BadTokenFile(AccessError):
    """The file of tokens cannot be read; names it and says what to do."""
