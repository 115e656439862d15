"""What the pinset's gossip says: one byte for the kind, then batches, a head, or member records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from blockstore.common.grouped import grouped
from cluster.common import wire
from cluster.common.genesis import Genesis
from cluster.errors import BadUpdate
from cluster.pinset.log.batch import AuthorLog, SignedBatch

MAX_GOSSIP_BYTES = 400 * 1024
"""Larger batches are announced and pulled."""

_JOINED_BYTES = MAX_GOSSIP_BYTES // 2  # of several things in one message, about
_MAX_RECORDS = 256  # in one message
_MAX_BATCHES = 256  # in one message
_BATCH, _HEAD, _RECORDS, _BATCHES = b"\1", b"\2", b"\3", b"\4"


@dataclass(frozen=True, slots=True)
class BatchEnvelopes:
    """In the order in which they were written."""

    envelopes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class AnnouncedHead:
    """A batch that is too large to gossip: it is to be pulled."""

    log: AuthorLog
    sequence: int


@dataclass(frozen=True, slots=True)
class RecordEnvelopes:
    envelopes: tuple[bytes, ...]


def topic_of(genesis: Genesis) -> str:
    """The gossip topic of that cluster's pinset."""
    return f"pinfold/pinset/{genesis.cluster_id.hex()}"


def read_message(message: bytes) -> BatchEnvelopes | AnnouncedHead | RecordEnvelopes:
    """Raises BadUpdate."""
    kind, body = message[:1], message[1:]
    if kind == _BATCH:
        return BatchEnvelopes((body,))
    if kind == _BATCHES:
        return BatchEnvelopes(wire.Fields.decode(body, MAX_GOSSIP_BYTES).datas("batches", _MAX_BATCHES))
    if kind == _HEAD:
        fields = wire.Fields.decode(body, 1024)
        log = AuthorLog(fields.text("author", limit=128), fields.integer("epoch"))
        return AnnouncedHead(log, fields.integer("seq"))
    if kind == _RECORDS:
        return RecordEnvelopes(wire.Fields.decode(body, MAX_GOSSIP_BYTES).datas("records", _MAX_RECORDS))
    raise BadUpdate("gossip of an unknown kind")


def batch_message(signed: SignedBatch) -> bytes:
    """The batch, or its head where it is too large."""
    if len(signed.envelope) <= MAX_GOSSIP_BYTES:
        return _BATCH + signed.envelope
    log = signed.batch.log
    head = {"author": log.author, "epoch": log.epoch, "seq": signed.batch.sequence}
    return _HEAD + wire.encode(head)


def records_messages(envelopes: Sequence[bytes]) -> Iterable[bytes]:
    """As many messages as it takes."""
    for part in grouped(_with_sizes(envelopes), _JOINED_BYTES, _MAX_RECORDS):
        yield _RECORDS + wire.encode({"records": [*part]})


def joined(messages: Iterable[bytes]) -> Iterator[bytes]:
    """The same in as few as they fit into: batches go together. Members of 0.1 leave those to catching up."""
    for is_batch, group in groupby(messages, lambda message: message.startswith(_BATCH)):
        if not is_batch:
            yield from group
            continue
        batches = _with_sizes(message[1:] for message in group)
        for part in grouped(batches, _JOINED_BYTES, _MAX_BATCHES):
            yield _BATCH + part[0] if len(part) == 1 else _BATCHES + wire.encode({"batches": [*part]})


def _with_sizes(envelopes: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    return ((envelope, len(envelope)) for envelope in envelopes)
