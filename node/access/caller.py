"""Who makes a request, as every face and the audit log know it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from node.access.rights import Right


class Proof(StrEnum):
    """How a caller is known."""

    NONE = "none"  # nothing was shown, where nothing had to be
    SECRET = "secret"  # that of the data folder
    TOKEN = "token"


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is that of the token, or the user that came with the secret; `owner` limits what it may change.

    Of a caller with an owner only pins of that owner are changed; an empty one is the cluster itself.
    """

    proof: Proof
    right: Right
    name: str = ""
    owner: str = ""
    key: bytes = b""  # signs tokens of the session that it asks for (JWT)

    def __repr__(self) -> str:
        return (
            f"Caller({self.proof.value}, {self.right.name}, {self.name!r}, {self.owner!r})"  # never the key
        )


ANYBODY = Caller(Proof.NONE, Right.UPKEEP)
"""Who shows nothing, where the machine's users are trusted with all but power over the cluster."""
