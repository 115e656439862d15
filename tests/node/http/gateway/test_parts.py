"""The gateway's pure parts: ranges, entity tags, sizes."""

import pytest

from node.http.gateway.pages import listing
from node.http.gateway.replies import conditions, ranges


@pytest.mark.parametrize(
    ("header", "expected"),
    [("bytes=0-0", (0, 1)), ("bytes=5-", (5, 10)), ("bytes=-3", (7, 10)), ("bytes=-30", (0, 10)),
     ("bytes=2-99", (2, 10)), ("bytes=1-2,4-5", (1, 3)), ("bytes=10-,4-5", (4, 6)),
     ("bytes=,2-3,", (2, 4))],
)  # fmt: skip
def test_ranges_within_ten_bytes(header: str, expected: tuple[int, int]) -> None:
    assert ranges.part(header, 10) == expected


@pytest.mark.parametrize(
    "header", ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=10-,99-100", "bytes=" + "10-," * 99 + "0-1"]
)
def test_a_range_outside_the_content_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(ranges.Unsatisfiable):
        ranges.part(header, 10)


@pytest.mark.parametrize(
    "header", ["bytes=", "bytes=,", "bytes=-", "bytes=a-b", "bytes=3-1", "bytes=1-2-3", "bytes=٣-٤"]
)
def test_a_malformed_range_is_refused(header: str) -> None:
    with pytest.raises(ranges.BadRange):
        ranges.part(header, 10)


def test_another_unit_is_the_whole() -> None:
    assert ranges.part("pages=1-2", 10) is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('"x"', True),
        ('W/"x"', True),
        ('"a", "x"', True),
        ("*", True),
        ('"a"', False),
        ("x", False),
    ],
)
def test_etags_compare_weakly_and_in_lists(header: str, expected: bool) -> None:
    assert conditions.matches(header, '"x"') is expected
    assert conditions.matches(header, 'W/"x"') is expected


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1500, "1.5 kB"),
        (999_999, "1 MB"),
        (123_456_789, "123 MB"),
    ],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert listing.human_size(size) == text
