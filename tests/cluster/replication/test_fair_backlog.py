"""Gossip waits within bounds, and an author that writes without end delays the others by one batch each."""

from __future__ import annotations

import asyncio

from cluster.pinset.log.batch import AuthorLog, Batch, SignedBatch
from cluster.replication.fair_backlog import FairBacklog, GossipedBatch


def batch(author: str, sequence: int, size: int = 0, updates: int = 1) -> GossipedBatch:
    changes = tuple((number, b"") for number in range(updates))
    return GossipedBatch(
        SignedBatch(Batch(AuthorLog(author, 1), sequence, 0, changes), bytes(size), b""), "f"
    )


def names(taken: list[GossipedBatch]) -> list[tuple[str, int]]:
    return [(one.signed.batch.log.author, one.signed.batch.sequence) for one in taken]


async def test_each_author_has_its_turn_and_its_own_order() -> None:
    backlog = FairBacklog()
    for sequence in range(1, 5):
        assert backlog.put(batch("loud", sequence))
    assert backlog.put(batch("quiet", 1))
    assert names(await backlog.take(3)) == [("loud", 1), ("quiet", 1), ("loud", 2)]
    assert backlog.put(batch("quiet", 2))
    assert names(await backlog.take(10)) == [("loud", 3), ("quiet", 2), ("loud", 4)]
    assert backlog.bytes == 0


async def test_a_batch_that_is_larger_than_a_transaction_goes_alone() -> None:
    backlog = FairBacklog()
    for sequence, updates in ((1, 2), (2, 9), (3, 1)):
        backlog.put(batch("a", sequence, updates=updates))
    assert [names(await backlog.take(5)) for _ in range(3)] == [[("a", 1)], [("a", 2)], [("a", 3)]]


async def test_one_author_fills_its_part_and_all_together_theirs_but_each_has_room_for_one() -> None:
    backlog = FairBacklog(most=100_000, most_per_author=20_000)
    assert [backlog.put(batch("loud", number, 8000)) for number in range(4)] == [True, True, False, False]
    for author in range(30):
        assert backlog.put(batch(f"author {author}", 1, 8000))
        assert not backlog.put(batch(f"author {author}", 2, 8000)) or author < 8
    assert backlog.bytes < 100_000 + 30 * 10_000


async def test_who_takes_waits_until_there_is_something() -> None:
    backlog = FairBacklog()
    taking = asyncio.create_task(backlog.take(1))
    await asyncio.sleep(0)
    assert not taking.done()
    backlog.put(batch("a", 1))
    assert names(await taking) == [("a", 1)]
