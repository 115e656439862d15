"""What the pinset's gossip says: one byte for the kind, then a batch, a head, or member records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cluster.common import wire
from cluster.common.genesis import Genesis
from cluster.errors import BadUpdate
from cluster.pinset.batch import AuthorLog, SignedBatch

MAX_GOSSIP_BYTES = 400 * 1024
"""Larger batches are announced and pulled."""

_MAX_RECORDS = 256  # in one message
_BATCH, _HEAD, _RECORDS = 1, 2, 3


@dataclass(frozen=True, slots=True)
class BatchEnvelope:
    envelope: bytes


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


def read_message(message: bytes) -> BatchEnvelope | AnnouncedHead | RecordEnvelopes:
    """Raises BadUpdate."""
    kind, body = message[:1], message[1:]
    if kind == bytes([_BATCH]):
        return BatchEnvelope(body)
    if kind == bytes([_HEAD]):
        fields = wire.Fields.decode(body, 1024)
        log = AuthorLog(fields.text("author", limit=128), fields.integer("epoch"))
        return AnnouncedHead(log, fields.integer("seq"))
    if kind == bytes([_RECORDS]):
        return RecordEnvelopes(wire.Fields.decode(body, MAX_GOSSIP_BYTES).datas("records", _MAX_RECORDS))
    raise BadUpdate("gossip of an unknown kind")


def batch_message(signed: SignedBatch) -> bytes:
    """The batch, or its head where it is too large."""
    if len(signed.envelope) <= MAX_GOSSIP_BYTES:
        return bytes([_BATCH]) + signed.envelope
    log = signed.batch.log
    head = {"author": log.author, "epoch": log.epoch, "seq": signed.batch.sequence}
    return bytes([_HEAD]) + wire.encode(head)


def records_messages(envelopes: Sequence[bytes]) -> Iterable[bytes]:
    """As many messages as it takes."""
    for part in _chunks(envelopes, MAX_GOSSIP_BYTES // 2):
        yield bytes([_RECORDS]) + wire.encode({"records": [*part]})


def _chunks(envelopes: Iterable[bytes], limit: int) -> Iterable[list[bytes]]:
    """In groups of at most _MAX_RECORDS, each of about `limit` bytes at most."""
    part: list[bytes] = []
    for envelope in envelopes:
        if part and (sum(map(len, part)) + len(envelope) > limit or len(part) == _MAX_RECORDS):
            yield part
            part = []
        part.append(envelope)
    if part:
        yield part
