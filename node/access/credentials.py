"""What a caller shows in `Authorization`, and who that makes it (RFC 6750: Bearer; RFC 7617: Basic)."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable
from dataclasses import dataclass

from node.access.caller import Caller, Proof
from node.access.errors import BadToken
from node.access.jwt import issuer_of, verify
from node.access.rights import Right
from node.access.token import PREFIX, Token
from node.access.tokens import Tokens
from node.datadir.api_secret import ApiSecret

_NAME_LENGTH = 64  # characters of a user's name that are told


@dataclass(frozen=True, slots=True)
class Credentials:
    """The secret of the data folder, the tokens, and what was signed by either (JWT)."""

    secret: ApiSecret
    tokens: Tokens
    now: Callable[[], float] = time.time

    def caller(self, authorization: str) -> Caller | None:
        """Who shows this header; None for a credential that is wrong, or of a kind that is not known."""
        scheme, _, rest = authorization.strip().partition(" ")
        if scheme.lower() == "bearer":
            return self._by_bearer(rest.strip())
        if scheme.lower() == "basic":
            return self._by_basic(*_user_and_password(rest.strip()))
        return None

    def _by_bearer(self, text: str) -> Caller | None:
        return self._by_text("", text) or self._signed(text)

    def _by_basic(self, user: str, password: str) -> Caller | None:
        """The password decides: the user may be any, and is told."""
        return self._by_text(user, password) if password else None

    def _by_text(self, user: str, text: str) -> Caller | None:
        if token := self.tokens.find(text):
            return _caller_of(token)
        if self.secret.matches(text):
            return Caller(Proof.SECRET, Right.POWER, user[:_NAME_LENGTH], key=self.secret.key)
        return None

    def _signed(self, text: str) -> Caller | None:
        """By whom it says that it was issued, if that one's key signed it."""
        try:
            issuer = issuer_of(text)
        except BadToken:
            return None
        token = self.tokens.named(issuer)
        if token is not None and verify(text, token.digest, self.now()):
            return _caller_of(token)
        if issuer and verify(text, self.secret.key, self.now()):
            return Caller(Proof.SECRET, Right.POWER, issuer[:_NAME_LENGTH], key=self.secret.key)
        return None


def is_ours(authorization: str) -> bool:
    """Whether who shows this meant this node, however wrong it is.

    Clients of ipfs-cluster send Basic to peers that ask for none, and proxies pass on what was for them.
    """
    scheme, _, rest = authorization.strip().partition(" ")
    return scheme.lower() != "basic" or _user_and_password(rest.strip())[1].startswith(PREFIX)


def _caller_of(token: Token) -> Caller:
    return Caller(Proof.TOKEN, token.scope.right, token.name, token.owner, token.digest)


def _user_and_password(text: str) -> tuple[str, str]:
    """Both empty for what is no Basic credential."""
    try:
        user, _, password = base64.b64decode(text, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return "", ""
    return user.decode(errors="replace"), password.decode(errors="surrogateescape")
