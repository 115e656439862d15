"""Where a page of pins ended, as opaque text (the cursor): what the next page is asked for by."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from cluster.common.wire import Fields, encode
from cluster.errors import BadCursor, BadUpdate
from cluster.interfaces import PinQuery

_MAX = 32 * 1024  # bytes: a value of metadata may be 16 KiB

Key = str | float | None
"""What a walk goes by before the CID; None where that is the CID alone."""


@dataclass(frozen=True, slots=True)
class ListPlace:
    """Behind that pin of a walk: it need not be there any more."""

    walk: str
    key: Key
    cid: bytes

    def is_behind(self, other: ListPlace) -> bool:
        """Of the same walk, whose keys are of one kind unless the file is damaged."""
        if self.key == other.key:
            return self.cid > other.cid
        if isinstance(self.key, str) and isinstance(other.key, str):
            return self.key.encode() > other.key.encode()  # as SQLite has it
        return isinstance(self.key, float) and isinstance(other.key, float) and self.key > other.key

    def cursor(self, query: PinQuery) -> str:
        key = {} if self.key is None else {"k": self.key}
        data = encode({"q": _mark(query), "w": self.walk, "c": self.cid, **key})
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    @classmethod
    def read(cls, cursor: str, query: PinQuery) -> ListPlace:
        """Raises BadCursor."""
        try:
            data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
            fields = Fields.decode(data, _MAX)
            if fields.data("q", 8) != _mark(query):
                raise BadCursor("the cursor is of another query: give the filters that it came from, or none")
            return cls(fields.text("w"), _key(fields), fields.data("c", 512))
        except (BadUpdate, ValueError) as error:
            if isinstance(error, BadCursor):
                raise
            raise BadCursor("the cursor is none that a page gave") from None


def _key(fields: Fields) -> Key:
    if "k" not in fields:
        return None
    try:
        return fields.number("k")
    except BadUpdate:
        return fields.text("k", limit=_MAX)


def _mark(query: PinQuery) -> bytes:
    """Tells queries apart; a forged one gains nothing."""
    return hashlib.sha256(repr(query).encode()).digest()[:8]
