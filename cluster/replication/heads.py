"""The first question of catching up, on the wire: how far each log has come at a member."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cluster.common import wire
from cluster.errors import BadUpdate
from cluster.pinset.batch import AuthorLog

MAX_HEADS = 4096
"""Logs in one answer; further ones come in the next."""

_MAX_ANSWER = MAX_HEADS * 256


@dataclass(frozen=True, slots=True)
class Heads:
    """One member's answer: logs that moved, and digests that show whether anything else differs."""

    store: bytes  # drawn anew when that member opens its store: its arrival numbers mean nothing else
    until: int  # the arrival to ask from next time
    more: bool
    logs: tuple[tuple[AuthorLog, int], ...]
    all_heads: bytes
    members: bytes
    now: float  # that member's wall clock, in seconds since 1970

    @classmethod
    def decode(cls, data: bytes) -> Heads:
        """Raises BadUpdate."""
        fields = wire.Fields.decode(data, _MAX_ANSWER)
        return cls(
            store=fields.data("store", 32),
            until=fields.integer("until"),
            more=bool(fields.integer("more")),
            logs=decode_logs(fields, "logs", MAX_HEADS),
            all_heads=fields.data("heads", 32),
            members=fields.data("members", 32),
            now=fields.number("now"),
        )

    def __bytes__(self) -> bytes:
        return wire.encode(
            {
                "store": self.store,
                "until": self.until,
                "more": int(self.more),
                "logs": encode_logs(self.logs),
                "heads": self.all_heads,
                "members": self.members,
                "now": self.now,
            }
        )


def encode_logs(logs: Sequence[tuple[AuthorLog, int]]) -> list[wire.Wire]:
    return [[log.author, log.epoch, sequence] for log, sequence in logs]


def decode_logs(fields: wire.Fields, key: str, limit: int) -> tuple[tuple[AuthorLog, int], ...]:
    """(log, sequence) of each. Raises BadUpdate."""
    return tuple(_log(item) for item in fields.items(key, limit))


def _log(item: wire.Wire) -> tuple[AuthorLog, int]:
    match item:
        case [str(author), int(epoch), int(sequence)] if len(author) <= 128 and epoch >= 0 and sequence >= 0:
            return AuthorLog(author, epoch), sequence
        case _:
            raise BadUpdate("a log must be named by author, epoch and sequence")
