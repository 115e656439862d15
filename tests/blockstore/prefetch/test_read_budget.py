"""Reading ahead of the consumer, and only as long as there is memory for it."""

from contextlib import ExitStack, aclosing

from support.gateway import file_of
from support.sources import source_of

from blockstore.block import Block
from blockstore.prefetch import read_budget
from blockstore.unixfs.reader import read_file

PARTS = [Block.of(bytes([number]) * 1_000_000) for number in range(20)]


async def most_ahead(others: int) -> int:
    """Blocks of a large file that are read before they are wanted, beside so many other readers."""
    root = file_of(PARTS)
    source = await source_of(root, *PARTS)
    early = []
    with ExitStack() as stack:
        for _ in range(others):
            stack.enter_context(read_budget.reading())
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
    assert await most_ahead(others=read_budget.TOTAL // read_budget.LEAST) == 0


async def test_who_has_ended_takes_no_share() -> None:
    with read_budget.reading() as share:
        alone = share()
        with read_budget.reading(), read_budget.reading():
            assert share() <= alone
        assert share() == alone == read_budget.MOST
