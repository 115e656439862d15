"""The first question of catching up, on the wire: how far each log has come at a member."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cluster.common import wire
from cluster.errors import BadUpdate
from cluster.pinset.log.batch import HASH_BYTES, AuthorLog
from cluster.pinset.log.fork import MAX_FORKS

MAX_HEADS = 4096
"""Logs in one answer; further ones come in the next."""

_MAX_ANSWER = MAX_HEADS * 320


@dataclass(frozen=True, slots=True)
class LogExtent:
    """What a member has of one log: `begin` is the first batch that it can serve, `hash` names its last one.

    Where all is cut, `begin` is behind the last; `hash` is empty where it is not known.
    """

    begin: int
    hash: bytes


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
    extents: Mapping[AuthorLog, LogExtent] = field(default_factory=dict)
    """Of all `logs`, or none in answers of the first version, which cut no log."""

    forks: tuple[tuple[AuthorLog, int], ...] = ()  # logs that are known there to be forked, and from where on

    def gaps(self, head: Callable[[AuthorLog], int]) -> frozenset[AuthorLog]:
        """Logs of which that member has more than we (`head`), and lacks the next one that we need."""
        return frozenset(
            log
            for log, sequence in self.logs
            if head(log) < sequence and log in self.extents and head(log) + 1 < self.extents[log].begin
        )

    @classmethod
    def decode(cls, data: bytes) -> Heads:
        """Raises BadUpdate."""
        fields = wire.Fields.decode(data, _MAX_ANSWER)
        logs = decode_logs(fields, "logs", MAX_HEADS)
        return cls(
            store=fields.data("store", 32),
            until=fields.integer("until"),
            more=bool(fields.integer("more")),
            logs=logs,
            all_heads=fields.data("heads", 32),
            members=fields.data("members", 32),
            now=fields.number("now"),
            extents=_extents(fields, logs),
            forks=decode_logs(fields, "forks", MAX_FORKS),
        )

    def __bytes__(self) -> bytes:
        extents = (self.extents[log] for log, _ in self.logs) if self.extents else ()
        return wire.encode(
            {
                "store": self.store,
                "until": self.until,
                "more": int(self.more),
                "logs": encode_logs(self.logs),
                "extents": [[one.begin, one.hash] for one in extents],
                "forks": encode_logs(self.forks),
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


def _extents(fields: wire.Fields, logs: Sequence[tuple[AuthorLog, int]]) -> Mapping[AuthorLog, LogExtent]:
    """In order of `logs`, one for each of them or none at all."""
    items = fields.items("extents", MAX_HEADS)
    if items and len(items) != len(logs):
        raise BadUpdate("heads need one extent for each of their logs")
    return {log: _extent(item) for (log, _), item in zip(logs, items, strict=bool(items))}


def _extent(item: wire.Wire) -> LogExtent:
    match item:
        case [int(begin), bytes(hash_)] if begin >= 1 and len(hash_) in (0, HASH_BYTES):
            return LogExtent(begin, hash_)
        case _:
            raise BadUpdate("what a member has of a log is where it begins, and the hash of its last batch")
