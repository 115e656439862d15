"""The secret of a data folder: its callers act for the node's owner (`api.secret`, mode 0600)."""

from __future__ import annotations

import hmac
import re
import secrets
from pathlib import Path

from blockstore.common.text_file import BadText, decode_text
from node.errors import NodeError
from node.files.atomic_write import atomic_write

_BYTES = 32  # of randomness: no rate of guessing finds it
_TEXT = re.compile(r"[!-9;-~]{32,512}")  # of a secret that an operator chose; a colon would end a user's name


class BadSecret(NodeError):
    """The file does not hold a secret; names it and says what to do."""


class ApiSecret:
    """What a caller has to show, as a Bearer token or as the password of any user."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()

    def __repr__(self) -> str:
        return "<Secret>"

    @property
    def key(self) -> bytes:
        """What is signed in the owner's name is signed with it."""
        return self._text

    def matches(self, text: str) -> bool:
        """Whether this is it; takes as long where it is nearly right."""
        return hmac.compare_digest(text.encode(errors="surrogateescape"), self._text)


def read_secret(path: Path) -> str:
    """Raises BadSecret, OSError."""
    try:
        text = decode_text(path.read_bytes()).strip()
    except BadText as error:
        raise BadSecret(f"{path} cannot be read: {error}") from None
    if not _TEXT.fullmatch(text):
        raise BadSecret(
            f"{path} does not hold a secret (32 to 512 printable ASCII characters without space or colon): "
            "remove it, and the daemon makes a new one"
        )
    return text


def made_secret(path: Path) -> ApiSecret:
    """The one in the file, which is made where there is none. Raises BadSecret, OSError."""
    if not path.exists():
        atomic_write(path, f"{secrets.token_urlsafe(_BYTES)}\n".encode())
    return ApiSecret(read_secret(path))
