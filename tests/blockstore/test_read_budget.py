"""Reading ahead of the consumer, and only as long as there is memory for it."""

from __future__ import annotations

from contextlib import ExitStack, aclosing

from support.gateway import file_of
from support.sources import source_of

from blockstore.block import Block
from blockstore.read_budget import MAX_SHARE, MIN_SHARE, TOTAL_BYTES, ReadBudget
from blockstore.unixfs.reader import read_file

PARTS = [Block.of(bytes([number]) * 1_000_000) for number in range(20)]


async def most_ahead(others: int) -> int:
    """Blocks of a large file that are read before they are wanted, beside so many other readers."""
    root = file_of(PARTS)
    source = await source_of(root, *PARTS)
    early = []
    with ExitStack() as stack:
        for _ in range(others):
            stack.enter_context(source.read_budget.reading())
        async with aclosing(read_file(source, root.cid)) as pieces:
            number = 0
            async for piece in pieces:
                assert piece == PARTS[number].data
                number += 1
                early.append(len(source.asked) - 1 - number)
    assert source.asked == [root.cid, *(part.cid for part in PARTS)]
    return max(early)


async def test_a_lone_reader_reads_some_megabytes_ahead() -> None:
    assert 1 <= await most_ahead(others=0) <= 4


async def test_many_readers_read_less_ahead_and_very_many_nothing() -> None:
    assert await most_ahead(others=40) <= 1
    assert await most_ahead(others=TOTAL_BYTES // MIN_SHARE) == 0


def test_a_reader_that_has_ended_takes_no_share() -> None:
    budget = ReadBudget()
    with budget.reading() as share:
        with ExitStack() as others:
            for _ in range(7):
                others.enter_context(budget.reading())
            assert share() == TOTAL_BYTES // 8
        assert share() == MAX_SHARE


def test_two_nodes_of_one_process_share_nothing() -> None:
    ours, theirs = ReadBudget(), ReadBudget()
    with ExitStack() as readers:
        for _ in range(TOTAL_BYTES // MIN_SHARE):
            readers.enter_context(theirs.reading())
        with ours.reading() as share:
            assert share() == MAX_SHARE
