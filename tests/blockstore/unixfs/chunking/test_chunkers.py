from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockstore.errors import BadImportOption
from blockstore.unixfs.chunking import buzhash, rabin
from blockstore.unixfs.chunking.chunker import MAX_CHUNK_BYTES, Chunker, chunker_factory

SPECS = ("size-1", "size-1000", "size-262144", "rabin-16-64-128", "rabin-1000", "rabin", "buzhash")


def cut(chunker: Chunker, data: bytes, sizes: Iterator[int]) -> list[bytes]:
    chunks: list[bytes] = []
    start = 0
    while start < len(data):
        size = next(sizes)
        chunks += chunker.feed(data[start : start + size])
        start += size
    return chunks + chunker.finish()


def random_sizes(seed: int, most: int) -> Iterator[int]:
    r = random.Random(seed)
    while True:
        yield r.choice((1, r.randrange(1, 100), r.randrange(1, most)))


@pytest.mark.parametrize("spec", SPECS)
@settings(max_examples=25)
@given(seed=st.integers(0, 1 << 30), size=st.integers(0, 5000), repeated=st.booleans())
def test_chunks_are_the_input_however_it_is_fed(spec: str, seed: int, size: int, repeated: bool) -> None:
    size = size * 200 if spec in ("rabin", "buzhash", "size-262144") else size
    data = bytes([seed & 255]) * size if repeated else random.Random(seed).randbytes(size)
    factory = chunker_factory(spec)
    whole = cut(factory(), data, iter([size]))
    assert b"".join(whole) == data
    assert all(whole)
    assert cut(factory(), data, random_sizes(seed, size // 3 + 2)) == whole
    assert cut(factory(), data, iter([factory().read_bytes] * (size + 1))) == whole


@pytest.mark.parametrize("size", [1, 1000, 262144, MAX_CHUNK_BYTES])
def test_fixed_chunks_are_all_of_one_size_but_the_last(size: int) -> None:
    data = bytes(3 * size + size // 2)
    chunks = cut(chunker_factory(f"size-{size}")(), data, iter([size + 7] * 10))
    assert [len(chunk) for chunk in chunks] == [size] * 3 + ([size // 2] if size > 1 else [])


def test_a_piece_of_the_right_size_is_passed_on_without_a_copy() -> None:
    data = bytes(262144)
    chunker = chunker_factory("size-262144")()
    assert chunker.feed(data)[0] is data


@pytest.mark.parametrize(("low", "average", "high"), [(16, 64, 128), (100, 1000, 5000), (1000, 1024, 1025)])
@pytest.mark.parametrize("seed", range(3))
def test_rabin_cuts_where_a_window_rolled_byte_by_byte_cuts(
    low: int, average: int, high: int, seed: int
) -> None:
    data = random.Random(seed).randbytes(30_000) + b"ab" * 5000 + bytes(5000)
    chunks = cut(chunker_factory(f"rabin-{low}-{average}-{high}")(), data, random_sizes(seed, 9000))
    assert chunks == list(rolled_rabin(data, low, average, high))


def rolled_rabin(data: bytes, low: int, average: int, high: int) -> Iterator[bytes]:
    """The definition: a fresh window for each chunk, one bit of the polynomial at a time."""
    mask = (1 << average.bit_length() - 1) - 1
    start = 0
    for end in range(1, len(data) + 1):
        if end - start < low:
            continue
        value = int.from_bytes(data[end - 16 : end], "big")
        while value.bit_length() > 53:
            value ^= rabin.POLYNOMIAL << value.bit_length() - 54
        if not value & mask or end - start == high:
            yield data[start:end]
            start = end
    if start < len(data):
        yield data[start:]


@pytest.mark.parametrize("seed", range(2))
def test_buzhash_cuts_where_a_window_rolled_byte_by_byte_cuts(seed: int) -> None:
    data = random.Random(seed).randbytes(900_000)
    assert cut(chunker_factory("buzhash")(), data, iter([70_000] * 20)) == list(rolled_buzhash(data))


def rolled_buzhash(data: bytes) -> Iterator[bytes]:
    text = "".join(buzhash.BYTE_VALUES.split())
    values = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]

    def turned(state: int) -> int:
        return (state << 1 | state >> 31) & 0xFFFFFFFF

    start = 0
    while start < len(data):
        end, state = start + buzhash.LOW, 0
        limit = min(start + buzhash.HIGH, len(data))
        for byte in data[end - 32 : end]:
            state = turned(state) ^ values[byte]
        while end < limit and state & (1 << 17) - 1:
            state = turned(state) ^ values[data[end - 32]] ^ values[data[end]]
            end += 1
        yield data[start : min(end, limit)]
        start = min(end, limit)


def test_a_run_of_one_byte_that_nearly_ends_chunks_is_not_slow() -> None:
    for byte in range(0, 256, 16):
        chunks = cut(chunker_factory("rabin")(), bytes([byte]) * 1_000_000, iter([1_000_000]))
        assert sum(map(len, chunks)) == 1_000_000


@pytest.mark.parametrize(
    "spec",
    [
        "size-0",
        "size-",
        "size--5",
        "size-2096897",
        "size-1-2",
        "size-99999999999999999999",
        "rabin-15-64-128",
        "rabin-64-64-128",
        "rabin-16-128-128",
        "rabin-16-64-2096897",
        "rabin-40",
        "rabin-2000000",
        "rabin-1-2",
        "rabin-avg:16-min:64-max:128",
        "buzhash-3",
        "fastcdc",
        "",
    ],
)
def test_a_chunker_that_cannot_be_is_named_in_the_error(spec: str) -> None:
    with pytest.raises(BadImportOption, match="chunker"):
        chunker_factory(spec)


def test_rabin_takes_labels_as_kubo_does() -> None:
    labelled = chunker_factory("rabin-min:16-avg:64-max:128")()
    data = random.Random(0).randbytes(5000)
    assert cut(labelled, data, iter([5000])) == cut(chunker_factory("rabin-16-64-128")(), data, iter([5000]))
