"""Early batches wait in a bounded place."""

from __future__ import annotations

from cluster.pinset.log.batch import AuthorLog, Batch, SignedBatch
from cluster.replication.holdback import HoldbackQueue


def batch(author: str, sequence: int, size: int = 100) -> SignedBatch:
    return SignedBatch(Batch(AuthorLog(author, 1), sequence, 0, ()), bytes(size), bytes(32))


def test_the_next_of_every_log_is_ready_and_what_is_applied_is_let_go() -> None:
    held = HoldbackQueue()
    for author, sequence in (("a", 2), ("a", 3), ("b", 5), ("a", 2)):
        held.keep(batch(author, sequence))
    assert len(held) == 3
    assert held.ready({AuthorLog("a", 1): 1, AuthorLog("b", 1): 1}.__getitem__) == [
        batch("a", 2),
        batch("a", 3),
    ]
    assert held.ready({AuthorLog("a", 1): 2, AuthorLog("b", 1): 7}.__getitem__) == [batch("a", 3)]
    held.drop(batch("a", 3))
    held.drop(batch("a", 3))
    assert len(held) == held.bytes == 0


def test_one_author_cannot_crowd_out_the_others() -> None:
    held = HoldbackQueue(max_bytes=1000, max_bytes_per_author=300)
    held.keep(batch("quiet", 2))
    for sequence in range(2, 50):
        held.keep(batch("loud", sequence))
        assert held.bytes <= 400
    assert held.ready(lambda log: 1 if log.author == "quiet" else 46) == [
        batch("quiet", 2),
        *(batch("loud", sequence) for sequence in (47, 48, 49)),
    ]


def test_all_authors_together_stay_within_bounds() -> None:
    held = HoldbackQueue(max_bytes=1000, max_bytes_per_author=300)
    for author in range(50):
        held.keep(batch(f"author {author}", 2))
        assert held.bytes <= 1000
    assert len(held) == 10


def test_what_is_ready_at_once_is_bounded_and_each_log_has_its_share() -> None:
    held = HoldbackQueue()
    for sequence in range(2, 40):
        held.keep(batch("a", sequence))
    held.keep(batch("b", 2))
    assert held.ready(lambda log: 1, most_updates=6) == [*(batch("a", n) for n in (2, 3, 4)), batch("b", 2)]
    assert held.ready(lambda log: 50) == []
    assert len(held) == 0
