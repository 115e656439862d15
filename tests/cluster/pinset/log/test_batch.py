"""A batch is read as it was signed."""

from __future__ import annotations

from support.pinset_member import identity

from cluster.pinset.log.batch import AuthorLog, Batch, OpenedBatch, sign


def test_a_batch_reads_back_as_it_was_signed() -> None:
    signer = identity(1)
    batch = Batch(AuthorLog(signer.peer_id, 7), 3, 99, ((1, b"x"), (5, b"y")))
    assert OpenedBatch.read(sign(batch, bytes(32), signer).envelope).batch == batch
