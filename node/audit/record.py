"""One line of the audit log: a request that changed something, or was refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

MAX_CIDS = 16
"""That a record names; of more it says how many there were."""

_MAX_TEXT = 512  # characters of what a caller chose
_VERSION = 1
_KINDS: Mapping[str, tuple[type, ...]] = {
    "time": (int, float),
    "cids": (list,),
    "failed": (bool,),
    **dict.fromkeys(("status", "count", "left_out"), (int,)),
    **dict.fromkeys(("face", "by", "name", "owner", "address", "method", "path"), (str,)),
}

_CHOSEN = ("name", "method", "path")  # by callers
_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False)


class BadRecordLine(ValueError):
    """A line that is none of ours, such as one that a power failure cut."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """`time` in seconds since 1970. `face` is the listener, `by` what the caller proved, and `name` as whom.

    `cids` are those that were meant, the first of `count`. `failed` is an error behind a status that was sent
    already. Before this one, `left_out` refusals were not written. No query, header or body is kept: those
    may hold secrets.
    """

    time: float
    face: str
    by: str
    name: str
    owner: str
    address: str
    method: str
    path: str
    status: int
    cids: tuple[str, ...] = ()
    count: int = 0
    failed: bool = False
    left_out: int = 0

    def line(self) -> bytes:
        """As it stands in the file, its end of line included."""
        fields: dict[str, object] = {"v": _VERSION, **{name: getattr(self, name) for name in _KINDS}}
        for name in _CHOSEN:
            fields[name] = str(fields[name])[:_MAX_TEXT]
        return _ENCODER.encode(fields).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> AuditRecord:
        """Raises BadRecordLine."""
        try:
            fields = json.loads(line)
            if fields["v"] != _VERSION or any(type(fields[name]) not in _KINDS[name] for name in _KINDS):
                raise BadRecordLine("a record of another release")
            return cls(**{name: fields[name] for name in _KINDS} | {"cids": tuple(map(str, fields["cids"]))})
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BadRecordLine(f"no record: {error}") from None
