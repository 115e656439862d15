"""Bytes become numbered lines, however they are cut on their way, and no more of them than there is room."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from node.http.rest.bulk.line_queue import LineQueue
from node.http.rest.bulk.line_splitter import MAX_LINE, LineSplitter


def split(*pieces: bytes) -> list[bytes]:
    splitter = LineSplitter()
    return [line for piece in pieces for line in splitter.feed(piece)] + splitter.finish()


def no_line_break(data: bytes) -> bytes:
    return data.replace(b"\n", b"").replace(b"\xef", b"")


@given(st.lists(st.binary(max_size=5).map(no_line_break)), st.data())
def test_lines_do_not_depend_on_how_they_come(lines: list[bytes], data: st.DataObject) -> None:
    body = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=5)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert split(*pieces) == lines


def test_the_last_line_needs_no_end() -> None:
    assert split(b"a\nb") == [b"a", b"b"]
    assert split(b"a\nb\n") == [b"a", b"b"]
    assert split(b"") == []


def test_a_mark_that_windows_puts_in_front_is_no_part_of_the_first_line() -> None:
    assert split(b"\xef\xbb", b"\xbfa\nb\n") == [b"a", b"b"]
    assert split(b"\xef\xbb\xbfa") == [b"a"]


def test_a_line_without_end_takes_bounded_memory() -> None:
    splitter = LineSplitter()
    for _ in range(100):
        assert splitter.feed(b"x" * 100_000) == []
    cut, after = splitter.feed(b"\nafter\n")
    assert (len(cut), after) == (MAX_LINE + 1, b"after")


def numbered(*pieces: bytes, skip: int = 0, most: int = 1000) -> list[tuple[int, bytes]]:
    async def taken() -> list[tuple[int, bytes]]:
        queue = LineQueue(skip)
        for piece in pieces:
            await queue.put(LineSplitter().feed(piece))
        queue.end()
        found: list[tuple[int, bytes]] = []
        while group := await queue.take(most):
            found += enumerate(group.lines, group.first)
        return found

    return asyncio.run(taken())


def test_lines_are_numbered_from_one_and_those_to_skip_are_counted() -> None:
    every = [(number, str(number).encode()) for number in range(1, 8)]
    pieces = [b"1\n2\n", b"", b"3\n4\n5\n", b"6\n7\n"]
    for most in (1, 2, 1000):
        for skip in range(9):
            assert numbered(*pieces, skip=skip, most=most) == every[skip:]


async def test_who_brings_lines_waits_for_room() -> None:
    queue = LineQueue()
    bringing = asyncio.create_task(queue.put([b"x" * 1000] * 2000))
    await asyncio.sleep(0)
    assert not bringing.done()
    last = 0
    while not bringing.done():
        last = await last_taken(queue)
        await asyncio.sleep(0)
    assert 0 < last < 2000
    while last < 2000:
        last = await last_taken(queue)
    queue.end()
    assert await queue.take(1000) is None


async def last_taken(queue: LineQueue) -> int:
    group = await queue.take(100)
    assert group is not None
    return group.last


async def test_who_takes_lines_waits_for_the_first() -> None:
    queue = LineQueue()
    taking = asyncio.create_task(queue.take(10))
    await asyncio.sleep(0)
    await queue.put([b"a"])
    group = await taking
    assert group is not None
    assert (group.first, group.lines) == (1, [b"a"])
