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
from cluster.common.envelope import Sealed, open_sealed, seal
from cluster.errors import BadUpdate
from cluster.pinset.documents.yjs_update import MAX_CLIENT
from cluster.ports import Signer

MAX_BATCH_BYTES = 1024 * 1024
MAX_BATCH_DOCUMENTS = 8192
HASH_BYTES = 32
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
    """Number `sequence` (from 1, without gaps) of a log: (document number, Yjs update) in order of number.

    `prev` is the hash of the batch before it in its log: 32 bytes; empty of the first one, and where the
    author's version did not write it yet.
    """

    log: AuthorLog
    sequence: int
    stamp: int  # of the author's hybrid clock
    updates: tuple[tuple[int, bytes], ...]
    prev: bytes = b""


@dataclass(frozen=True, slots=True)
class SignedBatch:
    """A batch that its author signed, with the bytes that prove it; any member can pass them on.

    `hash` names it: 32 bytes, of what was signed, so that no second signature makes another one of it.
    """

    batch: Batch
    envelope: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class OpenedBatch:
    """A batch from outside, decoded once; its signature is not verified yet."""

    batch: Batch
    envelope: bytes
    sealed: Sealed

    @classmethod
    def read(cls, envelope: bytes) -> OpenedBatch:
        """Raises BadUpdate."""
        sealed = open_sealed(envelope, MAX_BATCH_BYTES)
        return cls(_batch(wire.Fields.decode(sealed.payload, MAX_BATCH_BYTES)), envelope, sealed)

    def verified(self, cluster_id: bytes, signer: Signer) -> SignedBatch:
        """Raises BadUpdate unless its author signed it for this cluster."""
        self.sealed.verify(self.batch.log.author, _DOMAIN, cluster_id, signer)
        return SignedBatch(self.batch, self.envelope, self.hash)

    @property
    def hash(self) -> bytes:
        return _hash(self.sealed.payload)


def sign(batch: Batch, cluster_id: bytes, signer: Signer) -> SignedBatch:
    payload = wire.encode(
        {
            "author": batch.log.author,
            "epoch": batch.log.epoch,
            "seq": batch.sequence,
            "stamp": batch.stamp,
            "docs": [number for number, _ in batch.updates],
            "updates": [update for _, update in batch.updates],
            **({"prev": batch.prev} if batch.prev else {}),
        }
    )
    return SignedBatch(batch, seal(payload, _DOMAIN, cluster_id, signer), _hash(payload))


def _hash(payload: bytes) -> bytes:
    return hashlib.sha256(b"pinfold batch hash 1\0" + payload).digest()


def _batch(fields: wire.Fields) -> Batch:
    log = AuthorLog(fields.text("author", limit=128), fields.integer("epoch"))
    sequence, stamp = fields.integer("seq", low=1), fields.integer("stamp")
    return Batch(log, sequence, stamp, _updates(fields), _prev(fields))


def _prev(fields: wire.Fields) -> bytes:
    prev = fields.data("prev", HASH_BYTES, b"")
    if len(prev) not in (0, HASH_BYTES):
        raise BadUpdate("a batch names the one before it by a hash of another length")
    return prev


def _updates(fields: wire.Fields) -> tuple[tuple[int, bytes], ...]:
    numbers = fields.items("docs", MAX_BATCH_DOCUMENTS)
    updates = fields.datas("updates", MAX_BATCH_DOCUMENTS)
    if len(numbers) != len(updates) or not numbers:
        raise BadUpdate("a batch needs one update for each of its documents")
    pairs = tuple((_number(number), update) for number, update in zip(numbers, updates, strict=True))
    if any(one[0] >= two[0] for one, two in pairwise(pairs)):
        raise BadUpdate("a batch whose documents are not in order")
    return pairs


def _number(value: wire.Wire) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadUpdate("a document number must be an integer")
    return value
