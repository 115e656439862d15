"""What one member writes at once: updates of documents, numbered in the author's log and signed.

A log is one author's writing during one *epoch*: a random number drawn when the node opens its pinset.
The Yjs client id comes from both, so a restored backup or a copied folder can never reuse a clock.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from cluster.common import wire
from cluster.errors import BadUpdate
from cluster.pinset.yjs_update import MAX_CLIENT
from cluster.ports import Signer

MAX_BATCH_BYTES = 1024 * 1024
MAX_DOCUMENTS = 8192
_DOMAIN = b"pinfold batch 1\0"


@dataclass(frozen=True, slots=True)
class AuthorLog:
    """One author's writing in one epoch."""

    author: str
    epoch: int

    @property
    def client(self) -> int:
        """The Yjs client id, 1 to 2^53 - 1, that alone may write this log's entries."""
        digest = hashlib.sha256(
            b"pinfold client 1\0" + self.author.encode() + self.epoch.to_bytes(8)
        ).digest()
        return int.from_bytes(digest[:8]) % MAX_CLIENT + 1


def new_epoch(chance: Random) -> int:
    """One that no log had before, as far as `chance` is good for that."""
    return chance.getrandbits(63)


@dataclass(frozen=True, slots=True)
class Batch:
    """Number `sequence` (from 1, without gaps) of a log: (document number, Yjs update) in order of number."""

    log: AuthorLog
    sequence: int
    stamp: int
    updates: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True)
class SignedBatch:
    """A batch with the bytes that prove its author; any member can pass them on."""

    batch: Batch
    envelope: bytes


def sign(batch: Batch, cluster_id: bytes, signer: Signer) -> SignedBatch:
    numbers = [number for number, _ in batch.updates]
    updates = [update for _, update in batch.updates]
    payload = wire.encode(
        {
            "author": batch.log.author,
            "epoch": batch.log.epoch,
            "seq": batch.sequence,
            "stamp": batch.stamp,
            "docs": list(numbers),
            "updates": list(updates),
        }
    )
    signature = signer.sign(_DOMAIN + cluster_id + payload)
    return SignedBatch(batch, wire.encode({"p": payload, "s": signature}))


def read(envelope: bytes) -> Batch:
    """The batch inside, its signature not checked. Raises BadUpdate."""
    fields = wire.Fields.decode(
        wire.Fields.decode(envelope, MAX_BATCH_BYTES).data("p", MAX_BATCH_BYTES), MAX_BATCH_BYTES
    )
    log = AuthorLog(fields.text("author", limit=128), fields.integer("epoch"))
    numbers = fields.items("docs", MAX_DOCUMENTS)
    updates = fields.datas("updates", MAX_DOCUMENTS)
    if len(numbers) != len(updates) or not numbers:
        raise BadUpdate("a batch needs one update for each of its documents")
    pairs = tuple((_number(number), update) for number, update in zip(numbers, updates, strict=True))
    if any(one[0] >= two[0] for one, two in pairwise(pairs)):
        raise BadUpdate("a batch whose documents are not in order")
    return Batch(log, fields.integer("seq", low=1), fields.integer("stamp"), pairs)


def verify(envelope: bytes, cluster_id: bytes, signer: Signer) -> SignedBatch:
    """Read a batch and check that its author signed it for this cluster. Raises BadUpdate."""
    batch = read(envelope)
    fields = wire.Fields.decode(envelope, MAX_BATCH_BYTES)
    message = _DOMAIN + cluster_id + fields.data("p", MAX_BATCH_BYTES)
    if not signer.verify(batch.log.author, message, fields.data("s", 128)):
        raise BadUpdate(f"batch {batch.sequence} was not signed by {batch.log.author}")
    return SignedBatch(batch, envelope)


def _number(value: wire.Wire) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadUpdate("a document number must be an integer")
    return value
